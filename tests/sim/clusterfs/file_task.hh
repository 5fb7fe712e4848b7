// Reading, writing and truncating one file as the driver does it: several operations with device I/O in between, the
// file held open meanwhile, deleted at the end if it lost its last name.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "clusterfs/core/operations/file_data.hh"
#include "clusterfs/core/operations/open.hh"
#include "clusterfs/core/operations/resize.hh"
#include "tests/sim/clusterfs/node.hh"

namespace sim {

struct FileRequest {
    enum class Kind { read, write, truncate };
    Kind kind = Kind::read;
    clusterfs::operations::InodeReference inode;
    std::uint64_t offset = 0;  // or the size
    std::uint64_t length = 0;  // to read
    std::string data;          // to write
};

struct FileHooks {
    // Runs inside the operation that makes the change visible, which has changed something: leaves the marker.
    std::function<base::Result<void>(clusterfs::View&)> mark;
    // At the instant when the change became visible, with how many bytes of the data it covers, at `offset`.
    std::function<void(std::uint64_t offset, std::uint64_t length, clusterfs::FileData written)> changed;
    std::function<void(const std::string& data)> was_read;
    // It could not be opened, or failed later.
    std::function<void(const base::Error&)> failed;
    std::function<void()> finished;  // after everything, also after `failed`
};

class FileTask : public std::enable_shared_from_this<FileTask> {
  public:
    static void start(Node& node, FileRequest request, FileHooks hooks);

  private:
    using WritePlan = clusterfs::operations::WritePlan;
    using ReadPlan = clusterfs::operations::ReadPlan;
    using Then = void (FileTask::*)();

    FileTask(Node& node, FileRequest request, FileHooks hooks)
        : node_(node), request_(std::move(request)), hooks_(std::move(hooks)) {}

    void run(clusterfs::Mount::Operation operation, Then then);
    void run_then(clusterfs::Mount::Operation operation, std::function<void()> then);
    void open();
    void begin();
    void read_planned();
    std::string data_of(const std::map<clusterfs::BlockNumber, clusterfs::Block>& blocks) const;
    void write_planned();
    void fetch_old(std::size_t index, std::function<void()> then);
    void put_together(const std::vector<clusterfs::operations::PartialBlock>& partial,
                      const std::map<clusterfs::BlockNumber, clusterfs::Block>& blocks);
    void write_blocks();
    void finish_plan();
    void plan_finished();
    void resize();
    void resized();
    void close();
    void delete_if_orphan();
    void unpin(std::vector<clusterfs::LockName>& pins);
    clusterfs::Block image_of(std::uint64_t file_block) const;

    Node& node_;
    FileRequest request_;
    FileHooks hooks_;
    ReadPlan read_plan_;
    WritePlan plan_;
    clusterfs::operations::ResizeStep step_;
    unsigned zeroed_ = 0;
    bool shortened_ = false;
    std::vector<clusterfs::LockName> old_pins_;
    bool marked_ = false;                            // by the run that is being completed
    bool visible_ = false;                           // the new size
    std::map<std::uint64_t, clusterfs::Block> old_;  // by file block
    std::size_t under_way_ = 0;
    clusterfs::operations::Deletion deletion_ = clusterfs::operations::Deletion::done;
};

}  // namespace sim

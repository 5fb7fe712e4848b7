// A mount that does what a script says, and notes in the record what clients have seen and what they were promised.
#pragma once

#include <functional>
#include <string>

#include "tests/crash/record.hh"
#include "tests/crash/session.hh"
#include "tests/crash/tree_state.hh"

namespace crash {

// All of this fails by sim::Violation, but for what says whether it was done: false is "no space".
class ScriptedMount {
  public:
    // Mounts it. `device` must be observed by `record`, if that is to know of it.
    ScriptedMount(sim::Device& device, Record& record, History& history, std::uint64_t seed);

    bool create(const std::string& path, std::uint32_t permissions = 0644);
    bool make_directory(const std::string& path);
    bool symlink(const std::string& path, const std::string& target);
    void link(const std::string& from, const std::string& to);
    void unlink(const std::string& path);
    void remove_directory(const std::string& path);
    void rename(const std::string& from, const std::string& to);
    void exchange(const std::string& one, const std::string& other);
    void chmod(const std::string& path, std::uint32_t permissions);
    bool set_xattr(const std::string& path, const std::string& name, const std::string& value);
    void remove_xattr(const std::string& path, const std::string& name);
    bool write(const std::string& path, std::uint64_t offset, const std::string& data);
    bool append(const std::string& path, const std::string& data);
    void truncate(const std::string& path, std::uint64_t size);
    // Blocks without content, the size as it is.
    bool reserve(const std::string& path, std::uint64_t bytes);
    void open(const std::string& path);  // held until close_all()
    void close_all();
    void sync();
    // Now and then, and sometimes time goes by as well.
    void maybe_sync();
    // All below it and itself.
    void remove_tree(const std::string& path);
    void unmount();
    void pass(base::Duration time) { session_.pass(time); }
    bool exists(const std::string& path) const { return state_.names.contains(path); }

  private:
    using Change = std::function<void(TreeState&)>;
    bool change(const clusterfs::Mount::Operation& operation, const Change& change);
    void applied(const Change& change);
    void promised(std::size_t version);
    bool made(const base::Result<void>& outcome);
    std::size_t begin_overwrite(const std::string& path, std::uint64_t offset, const std::string& data);
    bool add(const std::string& path, std::uint32_t mode, const std::string& target);
    void edit(const std::string& path, const std::function<void(FileState&)>& change);
    InodeReference find(const std::string& path);
    InodeReference parent_of(const std::string& path, std::string& name);
    void remove(const std::string& path, bool directory);
    void rename(const std::string& from, const std::string& to, bool exchange);

    Record& record_;
    History& history_;
    TreeState state_;
    sim::Random random_;
    Session session_;
    std::size_t promised_;
    FileId last_file_;
    std::vector<InodeReference> open_;
};

}  // namespace crash

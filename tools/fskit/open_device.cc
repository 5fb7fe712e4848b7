#include "tools/fskit/open_device.hh"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <thread>

#include "base/io/file_descriptor.hh"
#include "clusterfs/driver/file_device.hh"
#include "tools/fskit/waiting_device.hh"
#ifdef CFS_HAS_ATTACH
#include "base/io/event_loop.hh"
#include "blockrep/driver/attach_client.hh"
#endif

namespace fskit {
namespace {

class LocalDevice : public OpenedDevice {
  public:
    LocalDevice(base::FileDescriptor claim, std::unique_ptr<clusterfs::FileDevice> file)
        : claim_(std::move(claim)), file_(std::move(file)), waiting_(*file_) {}
    clusterfs::SynchronousDevice& blocks() override { return waiting_; }
    bool is_shared() const override { return false; }

  private:
    base::FileDescriptor claim_;
    std::unique_ptr<clusterfs::FileDevice> file_;
    WaitingDevice waiting_;
};

// Open with O_EXCL, a block device is refused while the kernel has it mounted or swaps on it.
base::Result<base::FileDescriptor> claim(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return base::errno_failure(errno, path);
    if (!S_ISBLK(status.st_mode)) return base::FileDescriptor();
    base::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
    if (!file.is_open()) return base::errno_failure(errno, path);
    return file;
}

base::Result<std::unique_ptr<OpenedDevice>> open_local(const std::string& path, bool read_only) {
    BASE_ASSIGN(auto claimed, claim(path));
    BASE_ASSIGN(auto file, clusterfs::FileDevice::open(path, read_only));
    return std::make_unique<LocalDevice>(std::move(claimed), std::move(file));
}

#ifdef CFS_HAS_ATTACH
class AttachedDevice : public OpenedDevice {
  public:
    AttachedDevice() = default;
    ~AttachedDevice() override {
        loop_.post([this] {
            client_.reset();
            loop_.stop();
        });
        thread_.join();
    }
    base::Result<void> open(const std::string& resource) {
        auto client = blockrep::AttachClient::open(loop_, resource);
        thread_ = std::thread([this] { loop_.run(); });
        if (!client) return std::unexpected(std::move(client).error());
        client_ = *std::move(client);
        waiting_.emplace(*client_);
        return {};
    }
    clusterfs::SynchronousDevice& blocks() override { return *waiting_; }
    bool is_shared() const override { return true; }

  private:
    base::EventLoop loop_;
    std::thread thread_;
    std::unique_ptr<blockrep::AttachClient> client_;
    std::optional<WaitingDevice> waiting_;
};

base::Result<std::unique_ptr<OpenedDevice>> open_resource(const std::string& name) {
    auto device = std::make_unique<AttachedDevice>();
    BASE_TRY(device->open(name));
    return device;
}
#else
base::Result<std::unique_ptr<OpenedDevice>> open_resource(const std::string& name) {
    return base::failure(std::errc::no_such_file_or_directory, name);
}
#endif

bool is_resource(const std::string& name) {
    struct stat status {};
    return name.find('/') == name.npos && ::stat(name.c_str(), &status) != 0;
}

}  // namespace

base::Result<std::unique_ptr<OpenedDevice>> open_device(const std::string& name, bool read_only) {
    return is_resource(name) ? open_resource(name) : open_local(name, read_only);
}

}  // namespace fskit

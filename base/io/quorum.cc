#include "base/io/quorum.hh"

#include <corosync/cmap.h>
#include <corosync/quorum.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

namespace base {
namespace {

std::unexpected<Error> corosync_failure(const char* what, cs_error_t code) {
    return failure(std::errc::not_connected,
                   std::string(what) + ": " + cs_strerror(code) + " (does corosync run on this node?)");
}

// A connection to cmap for one question.
class Cmap {
  public:
    ~Cmap() {
        if (handle_ != 0) ::cmap_finalize(handle_);
    }
    Result<void> open() {
        const auto code = ::cmap_initialize(&handle_);
        if (code == CS_OK) return {};
        handle_ = 0;
        return corosync_failure("cannot read Corosync's configuration", code);
    }
    std::string text(const std::string& key) const {
        char* value = nullptr;
        if (::cmap_get_string(handle_, key.c_str(), &value) != CS_OK) return {};
        std::string copy(value);
        std::free(value);
        return copy;
    }
    std::uint32_t number(const std::string& key) const {
        std::uint32_t value = 0;
        return ::cmap_get_uint32(handle_, key.c_str(), &value) == CS_OK ? value : 0;
    }

  private:
    cmap_handle_t handle_ = 0;
};

class CorosyncQuorumWatch : public QuorumWatch {
  public:
    CorosyncQuorumWatch(EventLoop& loop, std::function<void(bool)> changed, std::function<void(const Error&)> lost)
        : loop_(loop), changed_(std::move(changed)), lost_(std::move(lost)) {}
    ~CorosyncQuorumWatch() override {
        watch_.reset();
        if (handle_ != 0) ::quorum_finalize(handle_);
    }

    Result<void> open() {
        quorum_callbacks_t callbacks{};
        callbacks.quorum_notify_fn = &CorosyncQuorumWatch::notified;
        std::uint32_t type = 0;
        auto code = ::quorum_initialize(&handle_, &callbacks, &type);
        if (code != CS_OK) {
            handle_ = 0;
            return corosync_failure("cannot ask Corosync for quorum", code);
        }
        ::quorum_context_set(handle_, this);
        code = ::quorum_trackstart(handle_, CS_TRACK_CURRENT | CS_TRACK_CHANGES);
        if (code != CS_OK) return corosync_failure("quorum_trackstart", code);
        int descriptor = -1;
        code = ::quorum_fd_get(handle_, &descriptor);
        if (code != CS_OK) return corosync_failure("quorum_fd_get", code);
        watch_ = loop_.watch_readable(descriptor, [this] { dispatch(); });
        return {};
    }

  private:
    static void notified(quorum_handle_t handle, std::uint32_t quorate, std::uint64_t, std::uint32_t, std::uint32_t*) {
        const void* context = nullptr;
        if (::quorum_context_get(handle, &context) != CS_OK) return;
        static_cast<CorosyncQuorumWatch*>(const_cast<void*>(context))->changed_(quorate != 0);
    }

    void dispatch() {
        const auto code = ::quorum_dispatch(handle_, CS_DISPATCH_ALL);
        if (code == CS_OK || code == CS_ERR_TRY_AGAIN) return;
        watch_.reset();
        lost_(corosync_failure("the connection to Corosync broke", code).error());
    }

    EventLoop& loop_;
    std::function<void(bool)> changed_;
    std::function<void(const Error&)> lost_;
    quorum_handle_t handle_ = 0;
    EventLoop::Handle watch_;
};

}  // namespace

Result<std::vector<ConfiguredNode>> configured_nodes() {
    Cmap cmap;
    BASE_TRY(cmap.open());
    std::vector<ConfiguredNode> nodes;
    for (int i = 0; i < 64; ++i) {
        const auto prefix = "nodelist.node." + std::to_string(i) + ".";
        const auto id = cmap.number(prefix + "nodeid");
        const auto address = cmap.text(prefix + "ring0_addr");
        if (id != 0) nodes.push_back({NodeId{id}, cmap.text(prefix + "name"), address});
    }
    if (nodes.empty()) return failure(std::errc::invalid_argument, "corosync.conf has no nodelist with node ids");
    std::ranges::sort(nodes, {}, &ConfiguredNode::id);
    return nodes;
}

Result<NodeId> local_node() {
    Cmap cmap;
    BASE_TRY(cmap.open());
    const auto id = cmap.number("runtime.votequorum.this_node_id");
    if (id == 0)
        return failure(std::errc::not_connected,
                       "Corosync does not say which node this is (is votequorum configured?)");
    return NodeId{id};
}

Result<bool> is_quorate() {
    quorum_callbacks_t callbacks{};
    quorum_handle_t handle = 0;
    std::uint32_t type = 0;
    if (const auto code = ::quorum_initialize(&handle, &callbacks, &type); code != CS_OK) {
        return corosync_failure("cannot ask Corosync for quorum", code);
    }
    int quorate = 0;
    const auto code = ::quorum_getquorate(handle, &quorate);
    ::quorum_finalize(handle);
    if (code != CS_OK) return corosync_failure("quorum_getquorate", code);
    return quorate != 0;
}

Result<std::unique_ptr<QuorumWatch>> QuorumWatch::start(EventLoop& loop, std::function<void(bool)> changed,
                                                        std::function<void(const Error&)> lost) {
    auto watch = std::make_unique<CorosyncQuorumWatch>(loop, std::move(changed), std::move(lost));
    BASE_TRY(watch->open());
    return watch;
}

}  // namespace base

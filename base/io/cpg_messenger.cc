#include "base/io/cpg_messenger.hh"

#include <corosync/cpg.h>

#include <algorithm>
#include <cstring>
#include <deque>

namespace base {
namespace {

constexpr Duration retry_after = Duration::milliseconds(2);  // while Corosync asks to try again

std::unexpected<Error> corosync_failure(const std::string& what, cs_error_t code) {
    const auto hint = code == CS_ERR_LIBRARY || code == CS_ERR_BAD_HANDLE ? " (does corosync run on this node?)" : "";
    return failure(std::errc::not_connected, what + ": " + cs_strerror(code) + hint);
}

GroupMember to_member(const cpg_address& address) { return {NodeId{address.nodeid}, address.pid}; }

LeaveReason to_reason(std::uint32_t reason) {
    if (reason == CPG_REASON_LEAVE) return LeaveReason::leave;
    return reason == CPG_REASON_NODEDOWN ? LeaveReason::node_down : LeaveReason::process_down;
}

class CpgMessenger : public GroupMessenger {
  public:
    explicit CpgMessenger(EventLoop& loop) : loop_(loop) {}
    ~CpgMessenger() override {
        watch_.reset();
        if (handle_ != 0) ::cpg_finalize(handle_);
    }

    Result<void> connect() {
        cpg_model_v1_data_t model{};
        model.model = CPG_MODEL_V1;
        model.cpg_deliver_fn = &CpgMessenger::deliver;
        model.cpg_confchg_fn = &CpgMessenger::configuration_changed;
        auto code = ::cpg_model_initialize(&handle_, CPG_MODEL_V1, reinterpret_cast<cpg_model_data_t*>(&model), this);
        if (code != CS_OK) {
            handle_ = 0;
            return corosync_failure("cannot reach Corosync", code);
        }
        unsigned node = 0;
        code = ::cpg_local_get(handle_, &node);
        if (code != CS_OK) return corosync_failure("cpg_local_get", code);
        self_ = {NodeId{node}, static_cast<std::uint32_t>(::getpid())};
        return {};
    }

    Result<void> join(const std::string& group, Callbacks callbacks) override {
        if (group.empty() || group.size() >= CPG_MAX_NAME_LENGTH) {
            return failure(std::errc::invalid_argument, "group name " + group);
        }
        callbacks_ = std::move(callbacks);
        group_.length = static_cast<std::uint32_t>(group.size());
        std::memcpy(group_.value, group.data(), group.size());
        BASE_TRY(try_join());
        int descriptor = -1;
        if (const auto code = ::cpg_fd_get(handle_, &descriptor); code != CS_OK)
            return corosync_failure("cpg_fd_get", code);
        watch_ = loop_.watch_readable(descriptor, [this] { dispatch(); });
        return {};
    }

    Result<void> multicast(ByteView message) override {
        if (message.size() > 64 * 1024) return failure(std::errc::message_size, "a group message of more than 64 KiB");
        waiting_.emplace_back(message.begin(), message.end());
        // What waits already goes first.
        if (waiting_.size() == 1) send_waiting();
        return {};
    }

    void leave() override {
        waiting_.clear();
        retry_.reset();
        if (joined_) ::cpg_leave(handle_, &group_);
        joined_ = false;
    }

    GroupMember self() const override { return self_; }

  private:
    Result<void> try_join() {
        constexpr int attempts = 500;  // Corosync answers "try again" while it forms a membership
        for (int i = 0; i < attempts; ++i) {
            const auto code = ::cpg_join(handle_, &group_);
            if (code == CS_OK) {
                joined_ = true;
                return {};
            }
            if (code != CS_ERR_TRY_AGAIN) return corosync_failure("cannot join the group", code);
            ::usleep(10'000);
        }
        return failure(std::errc::timed_out, "Corosync does not let us join the group");
    }

    void send_waiting() {
        while (!waiting_.empty()) {
            iovec part{waiting_.front().data(), waiting_.front().size()};
            const auto code = ::cpg_mcast_joined(handle_, CPG_TYPE_AGREED, &part, 1);
            if (code == CS_ERR_TRY_AGAIN) {
                retry_ = loop_.after(retry_after, [this] { send_waiting(); });
                return;
            }
            if (code != CS_OK) return lose(corosync_failure("multicast", code).error());
            waiting_.pop_front();
        }
    }

    void dispatch() {
        const auto code = ::cpg_dispatch(handle_, CS_DISPATCH_ALL);
        if (code != CS_OK && code != CS_ERR_TRY_AGAIN)
            lose(corosync_failure("the connection to Corosync broke", code).error());
    }

    // Reported from the loop, never from inside a call.
    void lose(const Error& why) {
        watch_.reset();
        retry_.reset();
        waiting_.clear();
        joined_ = false;
        if (lost_) return;
        lost_ = loop_.after({}, [this, why] { callbacks_.lost(why); });
    }

    static CpgMessenger* from(cpg_handle_t handle) {
        void* context = nullptr;
        return ::cpg_context_get(handle, &context) == CS_OK ? static_cast<CpgMessenger*>(context) : nullptr;
    }

    static void deliver(cpg_handle_t handle, const cpg_name*, std::uint32_t node, std::uint32_t process, void* message,
                        std::size_t length) {
        auto* self = from(handle);
        if (self == nullptr) return;
        self->callbacks_.message_received({NodeId{node}, process}, {static_cast<const std::byte*>(message), length});
    }

    static void configuration_changed(cpg_handle_t handle, const cpg_name*, const cpg_address* members,
                                      std::size_t member_count, const cpg_address* left, std::size_t left_count,
                                      const cpg_address* joined, std::size_t joined_count) {
        auto* self = from(handle);
        if (self == nullptr) return;
        GroupView view;
        for (std::size_t i = 0; i < member_count; ++i) view.members.push_back(to_member(members[i]));
        for (std::size_t i = 0; i < joined_count; ++i) view.joined.push_back(to_member(joined[i]));
        for (std::size_t i = 0; i < left_count; ++i)
            view.left.push_back({to_member(left[i]), to_reason(left[i].reason)});
        std::sort(view.members.begin(), view.members.end());
        self->callbacks_.view_changed(view);
    }

    EventLoop& loop_;
    cpg_handle_t handle_ = 0;
    cpg_name group_{};
    GroupMember self_;
    Callbacks callbacks_;
    bool joined_ = false;
    std::deque<Bytes> waiting_;
    EventLoop::Handle watch_;
    EventLoop::Handle retry_;
    EventLoop::Handle lost_;
};

}  // namespace

Result<std::unique_ptr<GroupMessenger>> make_cpg_messenger(EventLoop& loop) {
    auto messenger = std::make_unique<CpgMessenger>(loop);
    BASE_TRY(messenger->connect());
    return messenger;
}

}  // namespace base

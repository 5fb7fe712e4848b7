#include "dlm/driver/lockspace_client.hh"

#include <mutex>

#include "base/ensure.hh"
#include "base/io/clock.hh"
#include "base/io/log.hh"
#include "base/io/random.hh"
#include "dlm/core/lockspace.hh"
#include "dlm/driver/mesh.hh"

namespace dlm {
namespace {

constexpr auto tick_every = base::Duration::milliseconds(100);

class Client : public LockspaceClient {
  public:
    Client(base::EventLoop& loop, LockspaceOptions options, std::unique_ptr<base::GroupMessenger> group,
           base::FenceGate& gate)
        : loop_(loop), options_(std::move(options)), group_(std::move(group)), gate_(gate) {}

    ~Client() override { *alive_ = false; }

    base::Result<void> start(Callbacks callbacks) override {
        callbacks_ = std::move(callbacks);
        session_ = base::random_uuid();
        Mesh::Options mesh_options{options_.name,        options_.self.node, session_,      options_.secret,
                                   options_.listen_host, options_.port,      options_.hosts};
        mesh_ = std::make_unique<Mesh>(
            loop_, mutex_, std::move(mesh_options),
            [this](const base::Uuid& session, PeerMessage message) {
                happened(PeerMessageArrived{session, std::move(message)});
            },
            [this](const base::Error& why) {
                happened(
                    SecretRefused{why.message() + " (" + options_.secret_file + " must be the same on all nodes)"});
            });
        BASE_ASSIGN(const auto port, mesh_->listen());
        const auto self = group_->self();
        base::ensure(self.node == options_.self.node, "the group has another node id than this node");
        lockspace_ = std::make_unique<Lockspace>(Lockspace::Settings{{self, options_.self, session_, port}});
        base::log_info("dlm: lockspace {} listens on port {}", options_.name, port);
        gate_.on_fenced([this, alive = alive_](const base::NodeIncarnation& life) {
            if (*alive) happened(LifeFenced{life});
        });
        tick_ = loop_.after(tick_every, [this] { tick(); });
        return group_->join("dlm:" + options_.name, group_callbacks());
    }

    void set_quorate(bool quorate) override { happened(QuorumChanged{quorate}); }

    Requested request(const Name& name, Mode mode, Flags flags) override {
        const std::lock_guard lock(mutex_);
        const auto id = next_lock_++;
        return call(LockRequested{id, next_operation_++, name, mode, flags}, id);
    }

    Requested convert(LockId id, Mode mode, Flags flags, const ValueBytes& value) override {
        const std::lock_guard lock(mutex_);
        return call(ConversionRequested{id, next_operation_++, mode, flags, value}, id);
    }

    void unlock(LockId id, Flags flags, const ValueBytes& value) override {
        const std::lock_guard lock(mutex_);
        call(UnlockRequested{id, flags, value}, id);
    }

    void cancel(LockId id) override {
        const std::lock_guard lock(mutex_);
        call(CancelRequested{id}, 0);
    }

    void release_dead(const base::NodeIncarnation& life) override {
        const std::lock_guard lock(mutex_);
        call(DeadReleaseRequested{life}, 0);
    }

    void leave(std::function<void()> left) override {
        const std::lock_guard lock(mutex_);
        left_ = std::move(left);
        if (lockspace_->phase() == Membership::Phase::lost) {
            undone_.push_back(Left{});
            return drain_later();
        }
        call(LeaveRequested{}, 0);
    }

    void describe(base::JsonWriter& json, bool locks) const override {
        const std::lock_guard lock(mutex_);
        json.begin_object().member("name", options_.name).key("lockspace");
        lockspace_->describe(json, base::monotonic_now(), locks);
        json.key("links");
        mesh_->describe(json);
        json.end_object();
    }

  private:
    base::GroupMessenger::Callbacks group_callbacks() {
        return {[this](const base::GroupView& view) { happened(ViewChanged{view}); },
                [this](const base::GroupMember& sender, base::ByteView bytes) {
                    auto message = decode_group_message(bytes);
                    if (message) return happened(GroupMessageDelivered{sender, std::move(*message)});
                    base::log_error("dlm: node {}: {}", sender.node.value, message.error().message());
                },
                [this](const base::Error& why) {
                    base::log_error("dlm: {}", why.message());
                    happened(GroupLost{});
                }};
    }

    // Loop thread.
    void happened(const Event& event) {
        {
            const std::lock_guard lock(mutex_);
            step(event);
        }
        drain();
    }

    void tick() {
        tick_ = loop_.after(tick_every, [this] { tick(); });
        mesh_->acknowledge_all();
        bool due = false;
        {
            const std::lock_guard lock(mutex_);
            const auto deadline = lockspace_->next_deadline();
            due = deadline && *deadline <= base::monotonic_now();
        }
        if (due) happened(TimePassed{});
    }

    // With the mutex: what must keep its order among threads is done at once, the rest by drain().
    void step(const Event& event) {
        actions_.clear();
        lockspace_->step(event, base::monotonic_now(), actions_);
        for (auto& action : actions_) {
            if (const auto* sent = std::get_if<SendToPeer>(&action)) {
                mesh_->send(sent->session, sent->message);
                continue;
            }
            if (const auto* open = std::get_if<OpenLink>(&action)) mesh_->expect(open->peer);
            undone_.push_back(std::move(action));
        }
    }

    // With the mutex. The completion of `id` that is there already is the answer and no notice.
    Requested call(const Event& event, LockId id) {
        const auto before = undone_.size();
        step(event);
        Requested requested{id, Answer::queued, {}};
        for (auto i = before; i < undone_.size(); ++i) {
            auto* completed = std::get_if<Completed>(&undone_[i]);
            if (completed == nullptr || completed->lock != id) continue;
            requested.completed = std::move(*completed);
            requested.answer = requested.completed.outcome == Outcome::granted ? Answer::granted : Answer::refused;
            undone_.erase(undone_.begin() + static_cast<std::ptrdiff_t>(i));
            break;
        }
        if (undone_.size() > before) drain_later();
        return requested;
    }

    void drain_later() {
        if (std::exchange(drain_posted_, true)) return;
        loop_.post([this, alive = alive_] {
            if (*alive) drain();
        });
    }

    // Loop thread, without the mutex. Nested calls leave the rest to the outer one, which keeps the order.
    void drain() {
        if (draining_) return;
        draining_ = true;
        const auto alive = alive_;
        for (;;) {
            std::vector<Action> work;
            {
                const std::lock_guard lock(mutex_);
                drain_posted_ = false;
                work.swap(undone_);
            }
            if (work.empty()) break;
            for (auto& action : work) {
                std::visit([this](auto& each) { perform(each); }, action);
                if (!*alive) return;  // a callback has destroyed this
            }
        }
        draining_ = false;
    }

    void perform(const Completed& completed) {
        if (callbacks_.completed) callbacks_.completed(completed);
    }
    void perform(const BlockingNotice& notice) {
        if (callbacks_.blocking) callbacks_.blocking(notice);
    }
    void perform(const NodeNotice& notice) {
        base::log_info("dlm: lockspace {}: node {} {}", options_.name, notice.life.node.value, text_of(notice.phase));
        if (callbacks_.node) callbacks_.node(notice);
    }
    void perform(const Lost& lost) {
        base::log_error("dlm: lockspace {} is lost: {}", options_.name, lost.why);
        mesh_->close_all();
        if (callbacks_.lost) callbacks_.lost({std::make_error_code(std::errc::connection_aborted), lost.why});
    }
    void perform(const Left&) {
        base::log_info("dlm: left lockspace {}", options_.name);
        group_->leave();
        mesh_->close_all();
        std::function<void()> left;
        {
            const std::lock_guard lock(mutex_);
            left = std::exchange(left_, {});
        }
        if (left) left();
    }
    void perform(const Multicast& multicast) {
        const auto sent = group_->multicast(encode(multicast.message));
        if (!sent) base::log_error("dlm: {}", sent.error().message());
    }
    void perform(const RequestFence& fence) {
        gate_.request_fence(fence.life,
                            "lockspace " + options_.name + " lost node " + std::to_string(fence.life.node.value));
    }
    void perform(const WithdrawFence& fence) { gate_.withdraw_fence(fence.life); }
    void perform(const AwaitNobodyMissing& await) {
        gate_.when_nobody_is_missing([this, alive = alive_, question = await.question] {
            if (*alive) happened(NobodyMissing{question});
        });
    }
    void perform(const OpenLink& open) { mesh_->connect(open.peer.session); }
    void perform(const CloseLink& close) { mesh_->close(close.session); }
    void perform(const SendToPeer&) {}
    void perform(const Note& note) { base::log_info("dlm: lockspace {}: {}", options_.name, note.line); }

    base::EventLoop& loop_;
    LockspaceOptions options_;
    std::unique_ptr<base::GroupMessenger> group_;
    base::FenceGate& gate_;
    Callbacks callbacks_;
    base::Uuid session_;

    mutable std::mutex mutex_;  // guards what follows, and the mesh's links
    std::unique_ptr<Lockspace> lockspace_;
    std::unique_ptr<Mesh> mesh_;
    Actions actions_;
    std::vector<Action> undone_;
    bool drain_posted_ = false;
    LockId next_lock_ = 1;
    OperationId next_operation_ = 1;
    std::function<void()> left_;

    bool draining_ = false;  // loop thread
    base::EventLoop::Handle tick_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // outlives this, for what is still posted then
};

}  // namespace

std::unique_ptr<LockspaceClient> make_lockspace_client(base::EventLoop& loop, LockspaceOptions options,
                                                       std::unique_ptr<base::GroupMessenger> group,
                                                       base::FenceGate& gate) {
    return std::make_unique<Client>(loop, std::move(options), std::move(group), gate);
}

}  // namespace dlm

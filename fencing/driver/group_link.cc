#include "fencing/driver/group_link.hh"

#include "base/io/cpg_messenger.hh"
#include "base/io/log.hh"

namespace fencing {
namespace {

constexpr const char* group_name = "cfs-fence";
constexpr auto retry_after = base::Duration::milliseconds(500);

}  // namespace

GroupLink::GroupLink(base::EventLoop& loop, std::function<void(const Event&)> deliver)
    : loop_(loop), deliver_(std::move(deliver)) {
    retry_ = loop_.after({}, [this] { connect(); });
}

void GroupLink::connect() {
    messenger_.reset();
    quorum_.reset();
    if (const auto done = try_connect(); !done) return lost(done.error());
    connected_ = true;
    complained_ = false;
    base::log_info("joined the group {}", group_name);
}

base::Result<void> GroupLink::try_connect() {
    BASE_ASSIGN(messenger_, base::make_cpg_messenger(loop_));
    base::GroupMessenger::Callbacks callbacks;
    callbacks.view_changed = [this](const base::GroupView& view) { deliver_(ViewChanged{view}); };
    callbacks.message_received = [this](const base::GroupMember& sender, base::ByteView bytes) {
        received(sender, bytes);
    };
    callbacks.lost = [this](const base::Error& why) { lost(why); };
    BASE_TRY(messenger_->join(group_name, std::move(callbacks)));
    BASE_ASSIGN(quorum_, base::QuorumWatch::start(
                             loop_, [this](bool quorate) { deliver_(QuorumChanged{quorate}); },
                             [this](const base::Error& why) { lost(why); }));
    return {};
}

// What broke is kept until the next attempt: it may be the one that is calling.
void GroupLink::lost(const base::Error& why) {
    if (!complained_) base::log_error("{}; trying again", why.message());
    complained_ = true;
    retry_ = loop_.after(retry_after, [this] { connect(); });
    if (!connected_) return;
    connected_ = false;
    deliver_(QuorumChanged{false});
    deliver_(ViewChanged{});
}

void GroupLink::received(const base::GroupMember& sender, base::ByteView bytes) {
    auto message = decode(bytes);
    if (message) return deliver_(MessageDelivered{sender, *std::move(message)});
    base::log_warning("a message of node {} is ignored: {}", sender.node.value, message.error().message());
}

void GroupLink::multicast(const Message& message) {
    if (!connected_ && messenger_ == nullptr) return;
    const auto bytes = encode(message);
    if (!bytes) return base::log_error("a message to the group is not sent: {}", bytes.error().message());
    if (const auto sent = messenger_->multicast(*bytes); !sent)
        base::log_error("multicast: {}", sent.error().message());
}

}  // namespace fencing

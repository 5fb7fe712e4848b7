#include "clusterfs/driver/posix_lock_service.hh"

#include "base/io/log.hh"

namespace clusterfs {

PosixLockService::PosixLockService(base::EventLoop& loop, std::unique_ptr<base::GroupMessenger> group,
                                   base::NodeIncarnation self)
    : loop_(loop), group_(std::move(group)), self_(self), locks_(self) {}

PosixLockService::~PosixLockService() = default;

template <typename Call>
void PosixLockService::with_locks(Call call) {
    std::vector<std::function<void()>> answers;
    {
        const std::lock_guard lock(mutex_);
        AdvisoryActions actions;
        call(actions);
        for (auto& action : actions) {
            if (auto* multicast = std::get_if<MulticastBytes>(&action)) {
                // Only the loop talks to the group; posting under the mutex keeps the order.
                if (group_ == nullptr) continue;
                loop_.post([this, bytes = std::move(multicast->bytes)] {
                    if (auto sent = group_->multicast(bytes); !sent) {
                        base::log_error("advisory locks: {}", sent.error().message());
                    }
                });
                continue;
            }
            auto& answer = std::get<AnswerAdvisory>(action);
            auto waiting = waiting_.extract(answer.id);
            if (waiting.empty()) continue;
            answers.push_back([answer, tell = std::move(waiting.mapped())] { tell(answer.outcome, answer.conflict); });
        }
    }
    for (auto& answer : answers) answer();
}

base::Result<void> PosixLockService::start(const std::string& group_name,
                                           std::function<void(const base::Error&)> lost) {
    if (group_ == nullptr) {
        const base::GroupMember self{self_.node, 0};
        with_locks([&](AdvisoryActions& actions) { locks_.on_view(self, {{self}, {self}, {}}, actions); });
        // Nobody delivers our announcement: it is delivered here.
        base::ByteWriter nothing;
        with_locks([&](AdvisoryActions& actions) { locks_.on_message(self, nothing.bytes(), actions); });
        return {};
    }
    base::GroupMessenger::Callbacks callbacks;
    callbacks.view_changed = [this](const base::GroupView& view) {
        with_locks([&](AdvisoryActions& actions) { locks_.on_view(group_->self(), view, actions); });
    };
    callbacks.message_received = [this](const base::GroupMember& sender, base::ByteView message) {
        with_locks([&](AdvisoryActions& actions) { locks_.on_message(sender, message, actions); });
    };
    callbacks.lost = std::move(lost);
    return group_->join(group_name, std::move(callbacks));
}

void PosixLockService::on_fenced(const base::NodeIncarnation& dead) {
    with_locks([&](AdvisoryActions& actions) { locks_.on_fenced(dead, actions); });
}

void PosixLockService::leave() {
    if (group_ != nullptr) group_->leave();
}

std::uint64_t PosixLockService::request(AdvisoryRequest request, Answer answer) {
    std::uint64_t id = 0;
    bool waits = false;
    with_locks([&](AdvisoryActions& actions) {
        id = request.id = next_id_++;
        waiting_.emplace(id, std::move(answer));
        locks_.request(request, actions);
        waits = true;
        for (const auto& action : actions) {
            const auto* done = std::get_if<AnswerAdvisory>(&action);
            if (done != nullptr && done->id == id) waits = false;
        }
    });
    return waits ? id : 0;
}

void PosixLockService::test(AdvisoryRequest request, Answer answer) {
    with_locks([&](AdvisoryActions& actions) {
        request.id = next_id_++;
        waiting_.emplace(request.id, std::move(answer));
        locks_.test(request, actions);
    });
}

void PosixLockService::cancel(std::uint64_t id) {
    with_locks([&](AdvisoryActions& actions) { locks_.cancel(id, actions); });
}

bool PosixLockService::may_own(std::uint64_t owner, AdvisoryKind kind, InodeNumber inode) {
    const std::lock_guard lock(mutex_);
    return locks_.may_own(owner, kind, inode);
}

void PosixLockService::describe(base::JsonWriter& json) {
    const std::lock_guard lock(mutex_);
    locks_.describe(json);
}

}  // namespace clusterfs

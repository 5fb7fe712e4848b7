// A group in one process: total order by one mutex, delivery on each member's loop.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "base/group_messenger.hh"
#include "base/io/event_loop.hh"

namespace dlm {

class FakeBus {
  public:
    void join(base::GroupMember who, base::EventLoop& loop, base::GroupMessenger::Callbacks callbacks) {
        const std::lock_guard lock(mutex_);
        members_[who] = {&loop, std::make_shared<base::GroupMessenger::Callbacks>(std::move(callbacks)),
                         std::make_shared<std::deque<Work>>()};
        auto view = present();
        view.joined = {who};
        announce(view);
    }
    void remove(base::GroupMember who, base::LeaveReason reason) {
        const std::lock_guard lock(mutex_);
        if (members_.erase(who) == 0) return;
        auto view = present();
        view.left = {{who, reason}};
        announce(view);
    }
    void multicast(base::GroupMember sender, base::ByteView message) {
        const std::lock_guard lock(mutex_);
        if (!members_.contains(sender)) return;
        const auto copy = std::make_shared<base::Bytes>(message.begin(), message.end());
        for (auto& [who, member] : members_) {
            deliver(member,
                    [callbacks = member.callbacks, sender, copy] { callbacks->message_received(sender, *copy); });
        }
    }

  private:
    using Work = std::function<void()>;
    struct Member {
        base::EventLoop* loop = nullptr;
        std::shared_ptr<base::GroupMessenger::Callbacks> callbacks;
        std::shared_ptr<std::deque<Work>> queue = std::make_shared<std::deque<Work>>();
    };
    // What a loop's own thread posts may be overtaken by what others post: the order is that of the queue.
    void deliver(Member& member, Work work) {
        member.queue->push_back(std::move(work));
        member.loop->post([this, queue = member.queue] {
            Work next;
            {
                const std::lock_guard lock(mutex_);
                next = std::move(queue->front());
                queue->pop_front();
            }
            next();
        });
    }
    base::GroupView present() const {
        base::GroupView view;
        for (const auto& [who, member] : members_) view.members.push_back(who);
        return view;
    }
    void announce(const base::GroupView& view) {
        for (auto& [who, member] : members_) {
            deliver(member, [callbacks = member.callbacks, view] { callbacks->view_changed(view); });
        }
    }
    std::mutex mutex_;
    std::map<base::GroupMember, Member> members_;
};

class FakeGroup : public base::GroupMessenger {
  public:
    FakeGroup(FakeBus& bus, base::EventLoop& loop, base::GroupMember self) : bus_(bus), loop_(loop), self_(self) {}
    base::Result<void> join(const std::string&, Callbacks callbacks) override {
        bus_.join(self_, loop_, std::move(callbacks));
        return {};
    }
    base::Result<void> multicast(base::ByteView message) override {
        bus_.multicast(self_, message);
        return {};
    }
    void leave() override { bus_.remove(self_, base::LeaveReason::leave); }
    base::GroupMember self() const override { return self_; }

  private:
    FakeBus& bus_;
    base::EventLoop& loop_;
    base::GroupMember self_;
};

}  // namespace dlm

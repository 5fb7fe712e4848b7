// The programs of this node that want to know who is dead, each on a connection of its own.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/io/control_server.hh"
#include "fencing/core/fencer.hh"

namespace fencing {

class Subscribers {
  public:
    // From now on told of every death; at first who we are, every death that is known, and who is a member.
    void add(std::uint64_t connection, const std::string& program, const base::ControlReply& reply,
             const base::NodeIncarnation& self, const Fencer& fencer);
    void remove(std::uint64_t connection) { each_.erase(connection); }
    // Empty when this connection has not subscribed.
    std::string program(std::uint64_t connection) const;

    void tell_dead(const base::NodeIncarnation& life) const;
    // After every step: speaks only when something changed.
    void tell_members(const Fencer& fencer);
    void describe(base::JsonWriter& out) const;

  private:
    struct Subscriber {
        std::string program;
        base::ControlReply reply;
    };
    std::map<std::uint64_t, Subscriber> each_;
    std::string members_;  // the line as last told
};

}  // namespace fencing

#include "fencing/driver/subscribers.hh"

#include <boost/json.hpp>

#include "fencing/driver/life_text.hh"

namespace fencing {
namespace {

std::string life_event(const char* event, const base::NodeIncarnation& life) {
    boost::json::object line{{"event", event}};
    add_life(line, life);
    return boost::json::serialize(line);
}

std::string members_event(const Fencer& fencer) {
    boost::json::array members;
    for (const auto& [node, life] : fencer.announced())
        add_life(members.emplace_back(boost::json::object{}).get_object(), {node, life});
    return boost::json::serialize(boost::json::object{{"event", "members"},
                                                      {"in_group", fencer.is_in_group()},
                                                      {"quorate", fencer.is_quorate()},
                                                      {"members", std::move(members)}});
}

}  // namespace

void Subscribers::add(std::uint64_t connection, const std::string& program, const base::ControlReply& reply,
                      const base::NodeIncarnation& self, const Fencer& fencer) {
    each_.insert_or_assign(connection, Subscriber{program, reply});
    reply.line(life_event("hello", self));
    for (const auto& life : fencer.lives().dead()) reply.line(life_event("dead", life));
    reply.line(members_event(fencer));
}

std::string Subscribers::program(std::uint64_t connection) const {
    const auto found = each_.find(connection);
    return found == each_.end() ? std::string() : found->second.program;
}

void Subscribers::tell_dead(const base::NodeIncarnation& life) const {
    const auto line = life_event("dead", life);
    for (const auto& [connection, subscriber] : each_) subscriber.reply.line(line);
}

void Subscribers::tell_members(const Fencer& fencer) {
    auto line = members_event(fencer);
    if (line == members_) return;
    members_ = std::move(line);
    for (const auto& [connection, subscriber] : each_) subscriber.reply.line(members_);
}

void Subscribers::describe(base::JsonWriter& out) const {
    out.begin_array();
    for (const auto& [connection, subscriber] : each_) out.value(subscriber.program);
    out.end_array();
}

}  // namespace fencing

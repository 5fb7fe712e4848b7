#include "fencing/driver/fence_client.hh"

#include <algorithm>
#include <boost/json.hpp>

#include "base/io/json_text.hh"
#include "base/io/log.hh"
#include "base/io/paths.hh"
#include "fencing/driver/life_text.hh"

namespace fencing {
namespace {

constexpr auto first_retry = base::Duration::milliseconds(100);
constexpr auto longest_retry = base::Duration::seconds(2);
constexpr auto answer_limit = base::Duration::seconds(5);

// What is wrong when nobody answers on the socket, and what to do.
std::string no_daemon(const base::Error& why) {
    return "cfs-fenced does not answer (" + why.message() + "): start it with `systemctl start cfs-fenced`";
}

}  // namespace

std::string fenced_socket_path() { return base::run_path("cfs/fenced.sock"); }

base::Result<void> check_fencing_is_configured(const std::string& socket_path) {
    const auto reply = base::call_control(socket_path, {{"command", "configured"}}, answer_limit);
    if (!reply) return base::failure(reply.error().code, no_daemon(reply.error()));
    if (base::true_member(*reply, "configured")) return {};
    return base::failure(std::errc::operation_not_permitted,
                         base::text_member(*reply, "hint").value_or("fencing is not configured"));
}

base::Result<void> check_nobody_is_missing(const std::string& socket_path) {
    const auto reply = base::call_control(socket_path, {{"command", "configured"}}, answer_limit);
    if (!reply) return base::failure(reply.error().code, no_daemon(reply.error()));
    const auto missing = base::text_member(*reply, "missing").value_or("");
    if (missing.empty()) return {};
    return base::failure(std::errc::resource_unavailable_try_again,
                         missing +
                             " cannot be reached and is not known to be dead, so what it has locked is not known: "
                             "mend the network, or run \"cfs-fence off " +
                             missing + "\"");
}

base::Result<base::NodeIncarnation> ask_own_life(const std::string& socket_path) {
    const auto reply = base::call_control(socket_path, {{"command", "configured"}}, answer_limit);
    if (!reply) return base::failure(reply.error().code, no_daemon(reply.error()));
    const auto life = life_members(*reply);
    if (!life) return base::failure(std::errc::bad_message, "cfs-fenced does not say which life this is");
    return *life;
}

FenceClient::FenceClient(base::EventLoop& loop, std::string program, std::string socket_path)
    : loop_(loop), program_(std::move(program)), path_(std::move(socket_path)), retry_after_(first_retry) {
    state_.problem = "not connected yet";
    retry_ = loop_.after({}, [this] { connect(); });
}

FenceClient::~FenceClient() = default;

void FenceClient::connect() {
    base::ControlStream::Callbacks callbacks;
    callbacks.received = [this](const boost::json::object& line) { on_line(line); };
    callbacks.closed = [this](const base::Error& why) { connect_later(why.message()); };
    auto stream = base::ControlStream::connect(loop_, path_, std::move(callbacks));
    if (!stream) return connect_later(stream.error().message());
    stream_ = *std::move(stream);
    stream_->send({{"command", "subscribe"}, {"program", program_}});
    for (const auto& [victim, reason] : wanted_) send("fence", victim, reason);
    for (std::size_t i = 0; i < want_nobody_missing_.size(); ++i) stream_->send({{"command", "nobody missing"}});
}

// The broken stream is kept until the next attempt: it may be the one that is calling.
void FenceClient::connect_later(const std::string& why) {
    const bool was_connected = state_.connected;
    if (was_connected) base::log_warning("the connection to cfs-fenced broke: {}", why);
    retry_ = loop_.after(retry_after_, [this] {
        stream_.reset();
        connect();
    });
    retry_after_ = std::min(retry_after_ * 2, longest_retry);
    const bool changed = was_connected || state_.problem != why;
    state_.connected = state_.in_group = state_.quorate = false;
    state_.members.clear();
    state_.problem = why;
    if (changed) state_changed();
}

void FenceClient::on_line(const boost::json::object& line) {
    const auto event = base::text_member(line, "event").value_or("");
    if (event == "hello") return on_hello(line);
    if (event == "members") return on_members(line);
    if (event == "dead") return on_dead(line);
    if (event == "nobody missing") return on_nobody_missing();
    if (const auto error = base::text_member(line, "error")) base::log_warning("cfs-fenced refuses: {}", *error);
}

void FenceClient::on_hello(const boost::json::object& line) {
    const auto self = life_members(line);
    if (!self) return connect_later("cfs-fenced does not say which life this is");
    state_.connected = true;
    state_.self = self;
    state_.problem.clear();
    retry_after_ = first_retry;
}

void FenceClient::on_members(const boost::json::object& line) {
    state_.in_group = base::true_member(line, "in_group");
    state_.quorate = base::true_member(line, "quorate");
    state_.members.clear();
    const auto* members = line.if_contains("members");
    if (members != nullptr && members->is_array()) {
        for (const auto& each : members->get_array()) {
            const auto life = each.is_object() ? life_members(each.get_object()) : std::nullopt;
            if (life) state_.members[life->node] = life->incarnation;
        }
    }
    state_changed();
}

void FenceClient::on_dead(const boost::json::object& line) {
    const auto life = life_members(line);
    if (!life) return;
    wanted_.erase(*life);
    // "Whichever life it is in" is answered anew each time it was asked for.
    if (!life->incarnation.is_nil() && !dead_.insert(*life).second) return;
    const auto callbacks = fenced_callbacks_;
    for (const auto& tell : callbacks) tell(*life);
}

// Answers come in the order of the questions.
void FenceClient::on_nobody_missing() {
    if (want_nobody_missing_.empty()) return;
    const auto go_on = std::move(want_nobody_missing_.front());
    want_nobody_missing_.erase(want_nobody_missing_.begin());
    go_on();
}

void FenceClient::when_nobody_is_missing(std::function<void()> go_on) {
    want_nobody_missing_.push_back(std::move(go_on));
    if (stream_) stream_->send({{"command", "nobody missing"}});
}

void FenceClient::send(const char* command, const base::NodeIncarnation& victim, const std::string& reason) {
    boost::json::object line{{"command", command}, {"reason", reason}};
    add_life(line, victim);
    stream_->send(line);
}

void FenceClient::request_fence(const base::NodeIncarnation& victim, const std::string& reason) {
    if (dead_.contains(victim) || !wanted_.try_emplace(victim, reason).second) return;
    if (stream_) send("fence", victim, reason);
}

void FenceClient::withdraw_fence(const base::NodeIncarnation& victim) {
    if (wanted_.erase(victim) > 0 && stream_) send("withdraw", victim, "");
}

void FenceClient::on_fenced(FencedCallback callback) {
    fenced_callbacks_.push_back(callback);
    if (dead_.empty()) return;
    introductions_.push_back(loop_.after({}, [known = dead_, callback = std::move(callback)] {
        for (const auto& life : known) callback(life);
    }));
}

void FenceClient::on_state(StateCallback callback) {
    state_callbacks_.push_back(callback);
    introductions_.push_back(loop_.after({}, [this, callback = std::move(callback)] { callback(state_); }));
}

void FenceClient::state_changed() {
    const auto callbacks = state_callbacks_;
    for (const auto& tell : callbacks) tell(state_);
}

void FenceClient::describe(base::JsonWriter& out) const {
    out.begin_object().member("connected", state_.connected).member("in_group", state_.in_group);
    out.member("quorate", state_.quorate).member("problem", state_.problem);
    out.member("incarnation", state_.self ? state_.self->incarnation.text() : std::string());
    out.key("requested").begin_array();
    for (const auto& [victim, reason] : wanted_) {
        out.begin_object().member("node", victim.node.value).member("incarnation", victim.incarnation.text());
        out.member("reason", reason).end_object();
    }
    out.end_array().end_object();
}

}  // namespace fencing

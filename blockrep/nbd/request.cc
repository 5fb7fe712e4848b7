#include "blockrep/nbd/request.hh"

#include <algorithm>
#include <array>

namespace blockrep::nbd {
namespace {

struct CommandRule {
    Command command;
    std::uint16_t flags;    // that may be set
    bool has_range;         // offset and length mean something
    bool writes;            // refused on a read-only export
    bool carries_data;      // in either direction: length is limited
    NbdError out_of_range;  // the answer when the range leaves the export
};

constexpr std::array<CommandRule, 6> rules{{
    {Command::read, command_fua | command_df, true, false, true, NbdError::einval},
    {Command::write, command_fua, true, true, true, NbdError::enospc},
    {Command::disconnect, 0, false, false, false, NbdError::none},
    {Command::flush, command_fua, false, false, false, NbdError::none},
    {Command::trim, command_fua, true, true, false, NbdError::einval},
    {Command::write_zeroes, command_fua | command_no_hole, true, true, false, NbdError::enospc},
}};

NbdError validate_range(const Request& request, const Export& target, const CommandRule& rule) {
    if (rule.carries_data && request.length > max_payload) return NbdError::einval;
    if (request.offset > target.size || request.length > target.size - request.offset) return rule.out_of_range;
    if (request.offset % target.minimum_block != 0 || request.length % target.minimum_block != 0) {
        return NbdError::einval;
    }
    return NbdError::none;
}

}  // namespace

std::optional<Request> decode_request(base::ByteView header) {
    base::ByteReader reader(header);
    if (read_big<std::uint32_t>(reader) != request_magic) return std::nullopt;
    Request request;
    request.flags = read_big<std::uint16_t>(reader);
    request.type = read_big<std::uint16_t>(reader);
    request.cookie = read_big<std::uint64_t>(reader);
    request.offset = read_big<std::uint64_t>(reader);
    request.length = read_big<std::uint32_t>(reader);
    if (!reader.complete()) return std::nullopt;
    return request;
}

NbdError validate(const Request& request, const Export& target) {
    const auto rule = std::ranges::find(rules, request.command(), &CommandRule::command);
    if (rule == rules.end()) return NbdError::einval;
    if ((request.flags & ~rule->flags) != 0) return NbdError::einval;
    if (rule->writes && target.read_only) return NbdError::eperm;
    return rule->has_range ? validate_range(request, target, *rule) : NbdError::none;
}

}  // namespace blockrep::nbd

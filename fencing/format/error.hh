// One error code per failing place of fencing.
#pragma once

#include <system_error>

namespace fencing {

enum class Errc {
    bad_message = 1,   // from the group: magic, length, type or a field out of its range
    message_version,   // from the group: written by a newer release
    message_too_long,  // of our own: does not fit into one group message
    bad_config,        // fencing.toml; the detail is "file:line: what, what instead"
    agent_missing,     // no such program in the places that are searched
    agent_start,       // fork, pipe or exec failed
    incarnation_file,  // unreadable, unwritable or damaged
    unknown_node,      // not in fencing.toml
    refused,           // an operator's command that would be wrong now
};

std::error_code make_error_code(Errc code);

}  // namespace fencing

template <>
struct std::is_error_code_enum<fencing::Errc> : std::true_type {};

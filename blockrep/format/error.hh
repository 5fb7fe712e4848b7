// One error code per failing place of blockrep. The messages are DRBD's where DRBD has one: scripts look for them.
#pragma once

#include <system_error>

namespace blockrep {

enum class Errc {
    no_up_to_date_data = 1,  // "Need access to UpToDate data"
    multiple_primaries,      // "Multiple primaries not allowed by config"
    not_primary,             // client I/O or a command that needs Primary
    device_in_use,           // demotion or detach with requests in flight, or refused for a Primary
    would_split,             // disconnect with both Primary
    already_attached,
    not_attached,
    already_connected,
    not_connected,
    sync_in_progress,
    superseded_command,  // a later command or event made this one void
    split_brain,         // "Split-Brain detected but unresolved, dropping connection!"
    unrelated_data,      // "Unrelated data, aborting!"
    peer_refused,
    no_metadata,        // the magic is missing: create-md first
    metadata_version,   // written by a newer release
    metadata_damaged,   // no superblock copy has a good checksum
    metadata_mismatch,  // sizes or geometry do not fit the device
    device_too_small,
    bad_frame,           // from the wire: magic, length, checksum or order
    bad_message,         // from the wire: a field out of its range
    local_io,            // the backing disk failed
    no_data_accessible,  // neither our disk nor the peer's can serve this
    out_of_range,        // a request beyond the device, or not in whole sectors
};

std::error_code make_error_code(Errc code);

}  // namespace blockrep

template <>
struct std::is_error_code_enum<blockrep::Errc> : std::true_type {};

#include "blockrep/format/error.hh"

#include <string>

namespace blockrep {
namespace {

const char* text_of(Errc code) {
    switch (code) {
        case Errc::no_up_to_date_data:
            return "Need access to UpToDate data";
        case Errc::multiple_primaries:
            return "Multiple primaries not allowed by config";
        case Errc::not_primary:
            return "Device is Secondary: promote it first";
        case Errc::device_in_use:
            return "Device is in use";
        case Errc::would_split:
            return "Both nodes are Primary: disconnecting would split the data";
        case Errc::already_attached:
            return "Device is attached to a disk (use detach first)";
        case Errc::not_attached:
            return "Device does not have a disk";
        case Errc::already_connected:
            return "Already connected or connecting";
        case Errc::not_connected:
            return "Not connected to the peer";
        case Errc::sync_in_progress:
            return "A resync is running";
        case Errc::superseded_command:
            return "Given up: the state changed while the command was waiting";
        case Errc::split_brain:
            return "Split-Brain detected but unresolved, dropping connection!";
        case Errc::unrelated_data:
            return "Unrelated data, aborting!";
        case Errc::peer_refused:
            return "Refused by the peer";
        case Errc::no_metadata:
            return "No valid metadata found (run create-md)";
        case Errc::metadata_version:
            return "Metadata was written by a newer version";
        case Errc::metadata_damaged:
            return "Metadata is damaged";
        case Errc::metadata_mismatch:
            return "Metadata does not fit the device";
        case Errc::device_too_small:
            return "Device is too small";
        case Errc::bad_frame:
            return "Malformed frame from the peer";
        case Errc::bad_message:
            return "Malformed message from the peer";
        case Errc::local_io:
            return "I/O error on the backing disk";
        case Errc::no_data_accessible:
            return "No UpToDate data accessible";
        case Errc::out_of_range:
            return "Request outside the device or not in whole sectors";
    }
    return "unknown error";
}

// The errno that a client of the device sees.
std::errc condition_of(Errc code) {
    switch (code) {
        case Errc::not_primary:
            return std::errc::read_only_file_system;
        case Errc::device_in_use:
            return std::errc::device_or_resource_busy;
        case Errc::out_of_range:
            return std::errc::invalid_argument;
        case Errc::no_metadata:
        case Errc::metadata_mismatch:
        case Errc::device_too_small:
            return std::errc::invalid_argument;
        default:
            return std::errc::io_error;
    }
}

class Category : public std::error_category {
  public:
    const char* name() const noexcept override { return "blockrep"; }
    std::string message(int value) const override { return text_of(static_cast<Errc>(value)); }
    std::error_condition default_error_condition(int value) const noexcept override {
        return std::make_error_condition(condition_of(static_cast<Errc>(value)));
    }
};

}  // namespace

std::error_code make_error_code(Errc code) {
    static const Category category;
    return {static_cast<int>(code), category};
}

}  // namespace blockrep

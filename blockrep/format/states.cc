#include "blockrep/format/states.hh"

namespace blockrep {

std::string_view to_string(Role role) {
    switch (role) {
        case Role::Unknown:
            return "Unknown";
        case Role::Primary:
            return "Primary";
        case Role::Secondary:
            return "Secondary";
    }
    return "?";
}

std::string_view to_string(DiskState state) {
    switch (state) {
        case DiskState::Diskless:
            return "Diskless";
        case DiskState::Attaching:
            return "Attaching";
        case DiskState::Failed:
            return "Failed";
        case DiskState::Negotiating:
            return "Negotiating";
        case DiskState::Inconsistent:
            return "Inconsistent";
        case DiskState::Outdated:
            return "Outdated";
        case DiskState::DUnknown:
            return "DUnknown";
        case DiskState::Consistent:
            return "Consistent";
        case DiskState::UpToDate:
            return "UpToDate";
    }
    return "?";
}

std::string_view to_string(ConnectionState state) {
    switch (state) {
        case ConnectionState::StandAlone:
            return "StandAlone";
        case ConnectionState::Disconnecting:
            return "Disconnecting";
        case ConnectionState::Connecting:
            return "Connecting";
        case ConnectionState::Connected:
            return "Connected";
    }
    return "?";
}

std::string_view to_string(ReplicationState state) {
    switch (state) {
        case ReplicationState::Off:
            return "Off";
        case ReplicationState::Established:
            return "Established";
        case ReplicationState::WFBitMapS:
            return "WFBitMapS";
        case ReplicationState::WFBitMapT:
            return "WFBitMapT";
        case ReplicationState::SyncSource:
            return "SyncSource";
        case ReplicationState::SyncTarget:
            return "SyncTarget";
    }
    return "?";
}

}  // namespace blockrep

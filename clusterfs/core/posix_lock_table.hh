// Who holds and who waits for flock and fcntl locks: one table, the same on every node because every node applies the
// same requests in the same order (posix_locks.hh sees to that). Pure and deterministic.
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "base/bytes.hh"
#include "base/group_messenger.hh"
#include "base/json_writer.hh"
#include "clusterfs/core/block.hh"

namespace clusterfs {

enum class AdvisoryKind : std::uint8_t { range = 0, flock = 1 };  // fcntl and OFD locks; flock locks
enum class AdvisoryMode : std::uint8_t { unlock = 0, shared = 1, exclusive = 2 };

inline constexpr std::uint64_t advisory_range_end = ~std::uint64_t{0} >> 1;  // "to the end of the file"

// The kernel's lock owner, which is unique on its node only.
struct AdvisoryOwner {
    base::GroupMember member;
    std::uint64_t id = 0;
    auto operator<=>(const AdvisoryOwner&) const = default;
};

struct AdvisoryRequest {
    std::uint64_t id = 0;  // unique within the member; names the request to its asker
    AdvisoryKind kind = AdvisoryKind::range;
    AdvisoryMode mode = AdvisoryMode::unlock;
    bool wait = false;
    InodeNumber inode = 0;
    AdvisoryOwner owner;
    std::uint32_t pid = 0;    // for F_GETLK only
    std::uint64_t first = 0;  // bytes first … last, both included; a flock covers everything
    std::uint64_t last = advisory_range_end;
    bool operator==(const AdvisoryRequest&) const = default;
};

struct AdvisoryLock {
    AdvisoryOwner owner;
    std::uint32_t pid = 0;
    AdvisoryMode mode = AdvisoryMode::shared;
    std::uint64_t first = 0;
    std::uint64_t last = advisory_range_end;
    bool operator==(const AdvisoryLock&) const = default;
};

enum class AdvisoryVerdict : std::uint8_t { granted, would_block, deadlock, waiting };

class PosixLockTable {
  public:
    // A request that had waited and was granted by what was just applied.
    using Woken = std::vector<AdvisoryRequest>;

    // Applies a lock or unlock request. `waiting`: it stays in the table until it comes out as woken, is cancelled or
    // its member is removed.
    AdvisoryVerdict apply(const AdvisoryRequest& request, Woken& woken);
    // Takes a waiting request out; false: it does not wait (any more).
    bool cancel(const base::GroupMember& member, std::uint64_t request_id);
    // Everything of a member that is gone.
    void remove_member(const base::GroupMember& member, Woken& woken);
    // The first lock that keeps this request from being granted.
    std::optional<AdvisoryLock> conflict(const AdvisoryRequest& request) const;
    bool owns_any(const AdvisoryOwner& owner, AdvisoryKind kind, InodeNumber inode) const;
    // The owner has everything that the request asks for.
    bool holds(const AdvisoryRequest& request) const;
    bool waits(const base::GroupMember& member, std::uint64_t request_id) const;

    void encode(base::ByteWriter& writer) const;
    // Replaces the table; false (and an empty table) when the bytes are not what encode() writes.
    [[nodiscard]] bool decode(base::ByteReader& reader);

    bool empty() const { return files_.empty(); }
    std::size_t lock_count() const;
    std::size_t waiting_count() const;
    void check_invariants() const;
    void describe(base::JsonWriter& json) const;
    bool operator==(const PosixLockTable&) const = default;

  private:
    struct FileKey {
        InodeNumber inode = 0;
        AdvisoryKind kind = AdvisoryKind::range;
        auto operator<=>(const FileKey&) const = default;
    };
    struct File {
        std::vector<AdvisoryLock> locks;      // of one owner: sorted by first, never overlapping
        std::deque<AdvisoryRequest> waiting;  // oldest first
        bool operator==(const File&) const = default;
    };

    static bool conflicts(const AdvisoryLock& lock, const AdvisoryRequest& request);
    static void set_range(File& file, const AdvisoryRequest& request);
    static void wake(File& file, Woken& woken);
    bool would_deadlock(const AdvisoryRequest& request) const;
    void collect_blockers(const AdvisoryRequest& request, std::vector<AdvisoryOwner>& owners) const;
    void drop_if_empty(const FileKey& key);
    bool decode_file(base::ByteReader& reader);

    std::map<FileKey, File> files_;
};

void encode_request(base::ByteWriter& writer, const AdvisoryRequest& request);
// False: not a request. The ranges and enumerators of an accepted one are valid.
[[nodiscard]] bool decode_request(base::ByteReader& reader, AdvisoryRequest& request);

}  // namespace clusterfs

#include "clusterfs/core/posix_lock_table.hh"

#include <algorithm>
#include <set>
#include <tuple>

#include "base/ensure.hh"

namespace clusterfs {

namespace {

bool overlaps(std::uint64_t first, std::uint64_t last, const AdvisoryLock& lock) {
    return first <= lock.last && lock.first <= last;
}

bool order_of_locks(const AdvisoryLock& a, const AdvisoryLock& b) {
    return std::tie(a.owner, a.first) < std::tie(b.owner, b.first);
}

// What is left of an owner's lock when first … last is cut out of it.
void cut(const AdvisoryLock& lock, std::uint64_t first, std::uint64_t last, std::vector<AdvisoryLock>& out) {
    if (lock.first < first) {
        out.push_back(lock);
        out.back().last = first - 1;
    }
    if (lock.last > last) {
        out.push_back(lock);
        out.back().first = last + 1;
    }
}

// Neighbours of one owner and one mode become one lock, as Linux does.
void merge_neighbours(std::vector<AdvisoryLock>& locks) {
    std::vector<AdvisoryLock> merged;
    for (const auto& lock : locks) {
        if (!merged.empty() && merged.back().owner == lock.owner && merged.back().mode == lock.mode &&
            merged.back().last + 1 == lock.first) {
            merged.back().last = lock.last;
        } else {
            merged.push_back(lock);
        }
    }
    locks = std::move(merged);
}

void encode_owner(base::ByteWriter& writer, const AdvisoryOwner& owner) {
    writer.integer(owner.member.node.value).integer(owner.member.process).integer(owner.id);
}

AdvisoryOwner decode_owner(base::ByteReader& reader) {
    AdvisoryOwner owner;
    owner.member.node.value = reader.integer<std::uint32_t>();
    owner.member.process = reader.integer<std::uint32_t>();
    owner.id = reader.integer<std::uint64_t>();
    return owner;
}

}  // namespace

bool PosixLockTable::conflicts(const AdvisoryLock& lock, const AdvisoryRequest& request) {
    if (request.mode == AdvisoryMode::unlock || lock.owner == request.owner) return false;
    if (lock.mode == AdvisoryMode::shared && request.mode == AdvisoryMode::shared) return false;
    return overlaps(request.first, request.last, lock);
}

void PosixLockTable::set_range(File& file, const AdvisoryRequest& request) {
    std::vector<AdvisoryLock> kept;
    for (const auto& lock : file.locks) {
        if (lock.owner == request.owner && overlaps(request.first, request.last, lock)) {
            cut(lock, request.first, request.last, kept);
        } else {
            kept.push_back(lock);
        }
    }
    if (request.mode != AdvisoryMode::unlock) {
        kept.push_back({request.owner, request.pid, request.mode, request.first, request.last});
    }
    std::sort(kept.begin(), kept.end(), order_of_locks);
    merge_neighbours(kept);
    file.locks = std::move(kept);
}

void PosixLockTable::wake(File& file, Woken& woken) {
    // A grant that replaces a stronger lock of the same owner can make room for another waiter: until nothing moves.
    for (bool moved = true; moved;) {
        moved = false;
        for (auto it = file.waiting.begin(); it != file.waiting.end();) {
            const bool blocked =
                std::any_of(file.locks.begin(), file.locks.end(), [&](const auto& l) { return conflicts(l, *it); });
            if (blocked) {
                ++it;
                continue;
            }
            set_range(file, *it);
            woken.push_back(*it);
            it = file.waiting.erase(it);
            moved = true;
        }
    }
}

AdvisoryVerdict PosixLockTable::apply(const AdvisoryRequest& request, Woken& woken) {
    const FileKey key{request.inode, request.kind};
    if (request.mode == AdvisoryMode::unlock && !files_.contains(key)) return AdvisoryVerdict::granted;
    File& file = files_[key];
    if (request.kind == AdvisoryKind::flock && request.mode != AdvisoryMode::unlock) {
        // flock(2): a conversion first gives up the old lock and may then lose against somebody who waits.
        const bool has_it = std::any_of(file.locks.begin(), file.locks.end(), [&](const auto& lock) {
            return lock.owner == request.owner && lock.mode == request.mode;
        });
        if (has_it) return AdvisoryVerdict::granted;
        AdvisoryRequest give_up = request;
        give_up.mode = AdvisoryMode::unlock;
        set_range(file, give_up);
        wake(file, woken);
    }
    if (conflict(request)) {
        auto verdict = AdvisoryVerdict::would_block;
        if (request.wait) {
            const bool deadlock = request.kind == AdvisoryKind::range && would_deadlock(request);
            verdict = deadlock ? AdvisoryVerdict::deadlock : AdvisoryVerdict::waiting;
        }
        if (verdict == AdvisoryVerdict::waiting) file.waiting.push_back(request);
        drop_if_empty(key);
        return verdict;
    }
    set_range(file, request);
    wake(file, woken);
    drop_if_empty(key);
    return AdvisoryVerdict::granted;
}

bool PosixLockTable::cancel(const base::GroupMember& member, std::uint64_t request_id) {
    for (auto& [key, file] : files_) {
        const auto it = std::find_if(file.waiting.begin(), file.waiting.end(), [&](const auto& request) {
            return request.owner.member == member && request.id == request_id;
        });
        if (it == file.waiting.end()) continue;
        file.waiting.erase(it);
        drop_if_empty(FileKey{key});
        return true;
    }
    return false;
}

void PosixLockTable::remove_member(const base::GroupMember& member, Woken& woken) {
    for (auto it = files_.begin(); it != files_.end();) {
        File& file = it->second;
        std::erase_if(file.waiting, [&](const auto& request) { return request.owner.member == member; });
        std::erase_if(file.locks, [&](const auto& lock) { return lock.owner.member == member; });
        wake(file, woken);
        it = file.locks.empty() && file.waiting.empty() ? files_.erase(it) : std::next(it);
    }
}

std::optional<AdvisoryLock> PosixLockTable::conflict(const AdvisoryRequest& request) const {
    const auto file = files_.find({request.inode, request.kind});
    if (file == files_.end()) return std::nullopt;
    for (const auto& lock : file->second.locks) {
        if (conflicts(lock, request)) return lock;
    }
    return std::nullopt;
}

bool PosixLockTable::owns_any(const AdvisoryOwner& owner, AdvisoryKind kind, InodeNumber inode) const {
    const auto file = files_.find({inode, kind});
    if (file == files_.end()) return false;
    const auto& locks = file->second.locks;
    return std::any_of(locks.begin(), locks.end(), [&](const auto& lock) { return lock.owner == owner; });
}

bool PosixLockTable::holds(const AdvisoryRequest& request) const {
    const auto file = files_.find({request.inode, request.kind});
    if (file == files_.end()) return false;
    const auto& locks = file->second.locks;
    return std::any_of(locks.begin(), locks.end(), [&](const auto& lock) {
        return lock.owner == request.owner && lock.mode == request.mode && lock.first <= request.first &&
               request.last <= lock.last;
    });
}

bool PosixLockTable::waits(const base::GroupMember& member, std::uint64_t request_id) const {
    return std::any_of(files_.begin(), files_.end(), [&](const auto& entry) {
        const auto& waiting = entry.second.waiting;
        return std::any_of(waiting.begin(), waiting.end(), [&](const auto& request) {
            return request.owner.member == member && request.id == request_id;
        });
    });
}

void PosixLockTable::collect_blockers(const AdvisoryRequest& request, std::vector<AdvisoryOwner>& owners) const {
    const auto file = files_.find({request.inode, request.kind});
    if (file == files_.end()) return;
    for (const auto& lock : file->second.locks) {
        if (conflicts(lock, request)) owners.push_back(lock.owner);
    }
}

// Follows "waits for an owner that itself waits" until it comes back to the asker or ends.
bool PosixLockTable::would_deadlock(const AdvisoryRequest& request) const {
    std::set<AdvisoryOwner> seen;
    std::vector<AdvisoryOwner> open;
    collect_blockers(request, open);
    while (!open.empty()) {
        const AdvisoryOwner owner = open.back();
        open.pop_back();
        if (owner == request.owner) return true;
        if (!seen.insert(owner).second) continue;
        for (const auto& [key, file] : files_) {
            if (key.kind != AdvisoryKind::range) continue;
            for (const auto& waiting : file.waiting) {
                if (waiting.owner == owner) collect_blockers(waiting, open);
            }
        }
    }
    return false;
}

void PosixLockTable::drop_if_empty(const FileKey& key) {
    const auto it = files_.find(key);
    if (it != files_.end() && it->second.locks.empty() && it->second.waiting.empty()) files_.erase(it);
}

std::size_t PosixLockTable::lock_count() const {
    std::size_t count = 0;
    for (const auto& [key, file] : files_) count += file.locks.size();
    return count;
}

std::size_t PosixLockTable::waiting_count() const {
    std::size_t count = 0;
    for (const auto& [key, file] : files_) count += file.waiting.size();
    return count;
}

void PosixLockTable::check_invariants() const {
    for (const auto& [key, file] : files_) {
        base::ensure(!file.locks.empty() || !file.waiting.empty(), "an empty file stays in the lock table");
        for (std::size_t i = 0; i < file.locks.size(); ++i) {
            const auto& lock = file.locks[i];
            base::ensure(lock.first <= lock.last && lock.mode != AdvisoryMode::unlock, "a lock that locks nothing");
            for (std::size_t j = i + 1; j < file.locks.size(); ++j) {
                const auto& other = file.locks[j];
                if (!overlaps(lock.first, lock.last, other)) continue;
                base::ensure(lock.owner != other.owner, "one owner holds a byte twice");
                base::ensure(lock.mode == AdvisoryMode::shared && other.mode == AdvisoryMode::shared,
                             "conflicting locks are held together");
            }
        }
        for (const auto& request : file.waiting) {
            const auto& locks = file.locks;
            base::ensure(std::any_of(locks.begin(), locks.end(), [&](const auto& l) { return conflicts(l, request); }),
                         "a request waits for nothing");
        }
    }
}

void PosixLockTable::describe(base::JsonWriter& json) const {
    json.begin_object();
    json.member("files", files_.size()).member("locks", lock_count()).member("waiting", waiting_count());
    json.end_object();
}

void encode_request(base::ByteWriter& writer, const AdvisoryRequest& request) {
    writer.integer(request.id);
    writer.integer(static_cast<std::uint8_t>(request.kind)).integer(static_cast<std::uint8_t>(request.mode));
    writer.integer(static_cast<std::uint8_t>(request.wait)).integer(request.inode);
    encode_owner(writer, request.owner);
    writer.integer(request.pid).integer(request.first).integer(request.last);
}

bool decode_request(base::ByteReader& reader, AdvisoryRequest& request) {
    request.id = reader.integer<std::uint64_t>();
    const auto kind = reader.integer<std::uint8_t>();
    const auto mode = reader.integer<std::uint8_t>();
    request.wait = reader.integer<std::uint8_t>() != 0;
    request.inode = reader.integer<std::uint64_t>();
    request.owner = decode_owner(reader);
    request.pid = reader.integer<std::uint32_t>();
    request.first = reader.integer<std::uint64_t>();
    request.last = reader.integer<std::uint64_t>();
    if (!reader.ok() || kind > 1 || mode > 2) return false;
    if (request.first > request.last || request.last > advisory_range_end) return false;
    request.kind = static_cast<AdvisoryKind>(kind);
    request.mode = static_cast<AdvisoryMode>(mode);
    return true;
}

// A table travels as its locks and waiting requests, both in the shape of requests.
void PosixLockTable::encode(base::ByteWriter& writer) const {
    writer.integer(static_cast<std::uint32_t>(files_.size()));
    for (const auto& [key, file] : files_) {
        writer.integer(key.inode).integer(static_cast<std::uint8_t>(key.kind));
        writer.integer(static_cast<std::uint32_t>(file.locks.size()));
        for (const auto& lock : file.locks) {
            encode_request(writer,
                           {0, key.kind, lock.mode, false, key.inode, lock.owner, lock.pid, lock.first, lock.last});
        }
        writer.integer(static_cast<std::uint32_t>(file.waiting.size()));
        for (const auto& request : file.waiting) encode_request(writer, request);
    }
}

bool PosixLockTable::decode_file(base::ByteReader& reader) {
    FileKey key;
    key.inode = reader.integer<std::uint64_t>();
    const auto kind = reader.integer<std::uint8_t>();
    if (!reader.ok() || kind > 1) return false;
    key.kind = static_cast<AdvisoryKind>(kind);
    File file;
    AdvisoryRequest request;
    const auto belongs = [&] {
        return decode_request(reader, request) && request.inode == key.inode && request.kind == key.kind &&
               request.mode != AdvisoryMode::unlock;
    };
    const auto locks = reader.integer<std::uint32_t>();
    for (std::uint32_t i = 0; i < locks; ++i) {
        if (!belongs()) return false;
        file.locks.push_back({request.owner, request.pid, request.mode, request.first, request.last});
    }
    const auto waiting = reader.integer<std::uint32_t>();
    for (std::uint32_t i = 0; i < waiting; ++i) {
        if (!belongs()) return false;
        file.waiting.push_back(request);
    }
    return reader.ok() && files_.emplace(key, std::move(file)).second;
}

bool PosixLockTable::decode(base::ByteReader& reader) {
    files_.clear();
    const auto files = reader.integer<std::uint32_t>();
    for (std::uint32_t i = 0; i < files; ++i) {
        if (!decode_file(reader)) {
            files_.clear();
            return false;
        }
    }
    return reader.ok();
}

}  // namespace clusterfs

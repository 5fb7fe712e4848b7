#include "clusterfs/core/operations/read_directory.hh"

#include "clusterfs/core/directory.hh"
#include "clusterfs/core/error.hh"
#include "clusterfs/core/operations/access.hh"

namespace clusterfs::operations {
namespace {

constexpr std::uint64_t self_cookie = 1;
constexpr std::uint64_t parent_cookie = 2;

void add_dots(const Inode& directory, std::uint64_t after, std::size_t limit, std::vector<DirectoryItem>& items) {
    if (after < self_cookie && items.size() < limit) {
        items.push_back({".", directory.header.number, mode_directory, self_cookie, {}});
    }
    if (after < parent_cookie && items.size() < limit) {
        items.push_back({"..", directory.parent, mode_directory, parent_cookie, {}});
    }
}

bool is_needed(const base::Error& error) { return error.code == Errc::needed; }

// All that is missing is named in one run.
base::Result<void> add_attributes(View& view, std::vector<DirectoryItem>& items) {
    base::Result<void> outcome;
    for (auto& item : items) {
        if (item.cookie <= parent_cookie) continue;
        auto attributes = get_attributes(view, {item.inode, 0});
        if (attributes) {
            item.attributes = *attributes;
        } else if (is_needed(attributes.error()) && outcome) {
            outcome = std::unexpected(std::move(attributes).error());
        }
        // An inode that is damaged is listed without attributes: a lookup of the name will tell.
    }
    return outcome;
}

}  // namespace

base::Result<std::vector<DirectoryItem>> read_directory(View& view, InodeReference reference, std::uint64_t after,
                                                        std::size_t limit, WithAttributes with) {
    BASE_ASSIGN(const auto* directory, lock_and_read(view, reference, LockMode::shared));
    if (!is_directory(*directory)) return base::failure(std::errc::not_a_directory);
    std::vector<DirectoryItem> items;
    add_dots(*directory, after, limit, items);
    const auto from = std::max(after, parent_cookie);
    BASE_ASSIGN(auto entries, list_entries(view, reference.number, from, limit - items.size()));
    for (auto& entry : entries) {
        items.push_back(
            {std::move(entry.name), entry.found.inode, std::uint32_t{entry.found.type} << 12, entry.found.cookie, {}});
    }
    if (with == WithAttributes::yes) BASE_TRY(add_attributes(view, items));
    return items;
}

}  // namespace clusterfs::operations

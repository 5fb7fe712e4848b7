#include "tests/crash/tree_state.hh"

#include <algorithm>

#include "clusterfs/core/inode.hh"
#include "clusterfs/core/operations/attributes.hh"
#include "clusterfs/core/operations/extended_attributes.hh"
#include "clusterfs/core/operations/file_data.hh"
#include "clusterfs/core/operations/names.hh"
#include "clusterfs/core/operations/read_directory.hh"
#include "clusterfs/core/whole_device.hh"
#include "tests/sim/common/run_seeds.hh"

namespace crash {

using namespace clusterfs;
namespace ops = clusterfs::operations;

namespace {

constexpr std::size_t entries_at_once = 64;

class Reader {
  public:
    explicit Reader(sim::Device& device) : device_(device), whole_(device, superblock_of(device)) {}

    FoundTree read() {
        visit("", {whole_.superblock().root_inode, 0});
        return std::move(tree_);
    }

  private:
    static Superblock superblock_of(sim::Device& device) {
        auto superblock = read_superblock(device, superblock_number);
        if (!superblock) throw sim::Violation("the superblock: " + superblock.error().message());
        return *superblock;
    }

    void run(const WholeDevice::Operation& operation, const std::string& path) {
        const auto outcome = whole_.run(operation, {});
        if (!outcome) throw sim::Violation("/" + path + ": " + outcome.error().message());
    }

    void visit(const std::string& path, ops::InodeReference inode) {
        auto& found = tree_[path];
        ops::Attributes attributes;
        run(
            [&](View& view) -> base::Result<void> {
                found.state.xattrs.clear();
                BASE_ASSIGN(attributes, ops::get_attributes(view, inode));
                BASE_ASSIGN(const auto names, ops::list_xattrs(view, inode));
                for (const auto& name : names) {
                    BASE_ASSIGN(const auto value, ops::get_xattr(view, inode, name));
                    found.state.xattrs[name] = base::as_text(value);
                }
                return {};
            },
            path);
        found.inode = attributes.inode;
        found.links = attributes.links;
        found.state.mode = attributes.mode;
        if (attributes.is_directory()) return visit_entries(path, inode);
        if (attributes.is_regular()) {
            found.state.data = read_bytes(path, inode, attributes.size);
        } else {
            run(
                [&](View& view) -> base::Result<void> {
                    BASE_ASSIGN(found.state.data, ops::read_link(view, inode));
                    return {};
                },
                path);
        }
    }

    void visit_entries(const std::string& path, ops::InodeReference inode) {
        for (std::uint64_t after = 0;;) {
            std::vector<ops::DirectoryItem> items;
            run(
                [&](View& view) -> base::Result<void> {
                    BASE_ASSIGN(items,
                                ops::read_directory(view, inode, after, entries_at_once, ops::WithAttributes::no));
                    return {};
                },
                path);
            if (items.empty()) return;
            for (const auto& item : items) {
                if (item.name == "." || item.name == "..") continue;
                visit(path.empty() ? item.name : path + "/" + item.name, {item.inode, 0});
            }
            after = items.back().cookie;
        }
    }

    std::string read_bytes(const std::string& path, ops::InodeReference inode, std::uint64_t size) {
        std::string data(size, '\0');
        for (std::uint64_t done = 0; done < size;) {
            ops::ReadPlan plan;
            run(
                [&](View& view) -> base::Result<void> {
                    BASE_ASSIGN(plan, ops::begin_read(view, inode, done, size - done));
                    return {};
                },
                path);
            if (plan.length == 0) throw sim::Violation("/" + path + ": ends early");
            if (plan.is_inline) {
                std::copy_n(base::as_text(plan.inline_data).begin(), plan.length,
                            data.begin() + static_cast<std::ptrdiff_t>(done));
            } else {
                for (const auto& segment : plan.segments) copy_segment(segment, data);
            }
            done += plan.length;
        }
        return data;
    }

    void copy_segment(const ops::ReadSegment& segment, std::string& data) const {
        if (segment.block == 0) return;
        for (std::uint64_t done = 0; done < segment.length;) {
            const auto offset = segment.offset + done;
            const auto within = offset % block_size;
            const auto count = std::min<std::uint64_t>(block_size - within, segment.length - done);
            const auto block = device_.current(segment.block + offset / block_size - segment.offset / block_size);
            std::copy_n(reinterpret_cast<const char*>(block.bytes.data()) + within, count,
                        data.begin() + static_cast<std::ptrdiff_t>(offset));
            done += count;
        }
    }

    sim::Device& device_;
    WholeDevice whole_;
    FoundTree tree_;
};

// May this byte of the file be what it is, given which versions were not durable yet?
bool byte_explained(const History& history, FileId id, std::size_t at, char byte, std::size_t oldest,
                    std::size_t newest) {
    for (auto version = oldest; version <= newest; ++version) {
        const auto file = history.versions[version].files.find(id);
        if (file == history.versions[version].files.end()) continue;
        if (at < file->second->data.size() && file->second->data[at] == byte) return true;
    }
    return std::any_of(history.overwrites.begin(), history.overwrites.end(), [&](const Overwrite& write) {
        return write.file == id && write.version_before <= newest && write.version_after > oldest &&
               at >= write.offset && at < write.offset + write.data.size() && write.data[at - write.offset] == byte;
    });
}

std::optional<std::string> difference_of_data(const std::string& found, const std::string& wanted, FileId id,
                                              const History& history, std::size_t oldest, std::size_t newest) {
    if (found.size() != wanted.size()) {
        return "has " + std::to_string(found.size()) + " bytes, not " + std::to_string(wanted.size());
    }
    for (std::size_t at = 0; at < found.size(); ++at) {
        if (found[at] == wanted[at] || byte_explained(history, id, at, found[at], oldest, newest)) continue;
        return "has byte " + std::to_string(static_cast<unsigned char>(found[at])) + " at " + std::to_string(at) +
               ", not " + std::to_string(static_cast<unsigned char>(wanted[at]));
    }
    return std::nullopt;
}

bool same_names(const FoundTree& found, const TreeState& state) {
    return found.size() == state.names.size() &&
           std::equal(found.begin(), found.end(), state.names.begin(),
                      [](const auto& a, const auto& b) { return a.first == b.first; });
}

std::optional<std::string> difference_from(const FoundTree& found, const History& history, std::size_t version,
                                           std::size_t oldest, std::size_t newest) {
    const auto& state = history.versions[version];
    std::map<FileId, std::uint64_t> inodes;
    for (const auto& [path, file] : found) {
        const auto id = state.names.at(path);
        const auto& wanted = *state.files.at(id);
        const auto fail = [&](const std::string& what) { return "/" + path + " " + what; };
        if (inodes.emplace(id, file.inode).first->second != file.inode) return fail("is another inode than its links");
        if (file.state.mode != wanted.mode) return fail("has another mode");
        if (file.state.xattrs != wanted.xattrs) return fail("has other xattrs");
        const bool directory = (wanted.mode & mode_type_mask) == mode_directory;
        if (!directory && file.links != state.links(id)) return fail("has " + std::to_string(file.links) + " links");
        if (file.state.data == wanted.data) continue;
        const auto difference = difference_of_data(file.state.data, wanted.data, id, history, oldest, newest);
        if (difference) return fail(*difference);
    }
    return std::nullopt;
}

}  // namespace

std::uint32_t TreeState::links(FileId id) const {
    return static_cast<std::uint32_t>(
        std::count_if(names.begin(), names.end(), [&](const auto& name) { return name.second == id; }));
}

FoundTree read_tree(sim::Device& device) { return Reader(device).read(); }

Comparison compare(const FoundTree& found, const History& history, std::size_t oldest, std::size_t newest) {
    Comparison result;
    for (auto version = oldest; version <= newest; ++version) {
        if (!same_names(found, history.versions[version])) continue;
        const auto difference = difference_from(found, history, version, oldest, newest);
        if (!difference) {
            result.version = version;
            return result;
        }
        result.difference += "\n  version " + std::to_string(version) + ": " + *difference;
    }
    if (result.difference.empty()) result.difference = "its names are those of none of them";
    return result;
}

}  // namespace crash

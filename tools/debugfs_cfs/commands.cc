#include "tools/debugfs_cfs/commands.hh"

#include <algorithm>
#include <charconv>
#include <functional>

#include "clusterfs/core/directory.hh"
#include "clusterfs/core/error.hh"
#include "clusterfs/core/extent_map.hh"
#include "clusterfs/core/inode.hh"
#include "clusterfs/core/journal_record.hh"
#include "clusterfs/format/block_seal.hh"
#include "tools/debugfs_cfs/describe.hh"

namespace debugfs_cfs {

using namespace clusterfs;

namespace {

base::Result<std::uint64_t> number_of(const std::string& text) {
    std::uint64_t number = 0;
    const auto* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    if (parsed.ec == std::errc() && parsed.ptr == end) return number;
    return base::failure(std::errc::invalid_argument, "\"" + text + "\" is no number");
}

class Commands {
  public:
    Commands(SynchronousDevice& device, const Superblock& superblock)
        : device_(device), superblock_(superblock), whole_(device, superblock) {}

    base::Result<Answer> superblock(const std::string&) {
        return object([&] { describe(out_, superblock_); });
    }

    base::Result<Answer> slots(const std::string&) { return block(std::to_string(slot_map_number)); }

    base::Result<Answer> block(const std::string& argument) {
        BASE_ASSIGN(const auto number, number_of(argument));
        return describe_number(number);
    }

    base::Result<Answer> inode(const std::string& argument) {
        BASE_ASSIGN(const auto number, find(argument));
        return describe_number(number);
    }

    base::Result<Answer> list(const std::string& argument) {
        BASE_ASSIGN(const auto directory, find(argument.empty() ? "/" : argument));
        std::vector<ListedEntry> all;
        for (std::uint64_t after = 0; true; after = all.back().found.cookie) {
            std::vector<ListedEntry> some;
            BASE_TRY(run([&](View& view) -> base::Result<void> {
                BASE_ASSIGN(some, list_entries(view, directory, after, 1000));
                return {};
            }));
            all.insert(all.end(), some.begin(), some.end());
            if (some.empty()) break;
        }
        return object([&] {
            out_.member("directory", directory).key("entries").begin_array();
            for (const auto& entry : all) describe_entry(entry);
            out_.end_array();
        });
    }

    base::Result<Answer> extents(const std::string& argument) {
        BASE_ASSIGN(const auto number, find(argument));
        std::vector<Mapping> mappings;
        for (std::uint64_t next = 0; next < max_file_blocks; next += mappings.back().count) {
            Mapping mapping;
            BASE_TRY(run([&](View& view) -> base::Result<void> {
                BASE_ASSIGN(mapping, map_block(view, number, next, max_file_blocks - next));
                return {};
            }));
            mappings.push_back(mapping);
        }
        return object([&] {
            out_.member("inode", number).key("extents").begin_array();
            for (const auto& mapping : mappings) describe_mapping(mapping);
            out_.end_array();
        });
    }

    base::Result<Answer> group(const std::string& argument) {
        BASE_ASSIGN(const auto number, number_of(argument));
        const auto geometry = superblock_.geometry();
        if (number >= geometry.group_count()) return base::failure(std::errc::invalid_argument, "no such group");
        std::vector<std::shared_ptr<Block>> maps;
        for (std::uint32_t index = 0; index < geometry.maps_in_group(number); ++index) {
            BASE_ASSIGN(auto map, read_checked(device_, geometry.map_block(number, index), superblock_.uuid()));
            maps.push_back(std::move(map));
        }
        return object([&] {
            out_.member("group", number).member("first", geometry.first_of_group(number));
            out_.member("blocks", geometry.blocks_in_group(number)).key("maps").begin_array();
            for (const auto& map : maps) {
                out_.begin_object();
                describe(out_, map->as<AllocationMap>(), true);
                out_.end_object();
            }
            out_.end_array();
        });
    }

    base::Result<Answer> journal(const std::string& argument) {
        BASE_ASSIGN(const auto slot, number_of(argument.empty() ? "0" : argument));
        if (slot >= superblock_.slot_count) return base::failure(std::errc::invalid_argument, "no such slot");
        const auto region = journal_region(superblock_, static_cast<std::uint32_t>(slot));
        BASE_ASSIGN(const auto header, read_checked(device_, region.first, superblock_.uuid()));
        BASE_ASSIGN(const auto state, parse_journal_header(region, *header));
        BASE_ASSIGN(const auto ring, read_ring(region));
        return object([&] {
            describe(out_, header->as<JournalHeader>());
            out_.key("records").begin_array();
            auto place = state.tail;
            while (auto record = find_record(region, ring, place, state.epoch, superblock_.block_count)) {
                if (record->end - state.tail.offset > region.ring_blocks) break;
                describe_record(*record, place.record);
                place = {record->end, place.record + 1};
            }
            out_.end_array();
        });
    }

    base::Result<Answer> cat(const std::string& argument) {
        BASE_ASSIGN(const auto number, find(argument));
        BASE_ASSIGN(const auto image, read_checked(device_, number, superblock_.uuid()));
        const auto& file = image->as<Inode>();
        if (const auto* fault = fault_in(file, superblock_.block_count)) return base::failure(Errc::corrupted, fault);
        if (file.content == Content::data) {
            const auto bytes = content_of(file).first(static_cast<std::size_t>(file.size));
            return Answer{std::string(base::as_text(bytes)), false};
        }
        if (file.content != Content::extents) return base::failure(std::errc::invalid_argument, "not a file");
        return read_content(number, file.size);
    }

  private:
    base::Result<void> run(const WholeDevice::Operation& operation) { return whole_.run(operation, {}); }

    template <typename Fill>
    Answer object(Fill fill) {
        out_.begin_object();
        fill();
        out_.end_object();
        return {out_.text(), true};
    }

    base::Result<Answer> describe_number(BlockNumber number) {
        if (number >= device_.block_count()) return base::failure(std::errc::invalid_argument, "no such block");
        auto image = std::make_unique<Block>();
        BASE_TRY(device_.read(number, {image.get(), 1}));
        return object([&] { describe_block(out_, *image, number, superblock_); });
    }

    // A number, "<number>" or a path from the root.
    base::Result<InodeNumber> find(std::string text) {
        if (text.size() > 2 && text.front() == '<' && text.back() == '>') text = text.substr(1, text.size() - 2);
        if (!text.empty() && text.front() != '/') return number_of(text);
        auto number = superblock_.root_inode;
        for (std::size_t at = 0; at < text.size();) {
            const auto end = std::min(text.find('/', at), text.size());
            const auto name = text.substr(at, end - at);
            at = end + 1;
            if (name.empty()) continue;
            BASE_ASSIGN(number, find_in(number, name));
        }
        return number;
    }

    base::Result<InodeNumber> find_in(InodeNumber directory, const std::string& name) {
        std::optional<FoundEntry> found;
        BASE_TRY(run([&](View& view) -> base::Result<void> {
            BASE_ASSIGN(found, find_entry(view, directory, name));
            return {};
        }));
        if (!found) return base::failure(std::errc::no_such_file_or_directory, name);
        return found->inode;
    }

    void describe_entry(const ListedEntry& entry) {
        out_.begin_object().member("inode", entry.found.inode);
        out_.member("type", type_text(std::uint32_t{entry.found.type} << 12));
        out_.member("cookie", entry.found.cookie).member("name", entry.name).end_object();
    }

    void describe_mapping(const Mapping& mapping) {
        if (mapping.is_hole()) return;
        out_.begin_object().member("file_block", mapping.file_block).member("count", mapping.count);
        out_.member("disk_block", mapping.disk_block).member("unwritten", mapping.unwritten).end_object();
    }

    void describe_record(const ParsedRecord& record, std::uint64_t number) {
        out_.begin_object().member("record", number).member("sequence", record.sequence);
        out_.key("images").begin_array();
        for (const auto& [block, image] : record.images) {
            out_.begin_object().member("block", block);
            out_.member("type", text_of(image->as<BlockHeader>().magic));
            out_.member("owner", image->as<BlockHeader>().owner).end_object();
        }
        out_.end_array().end_object();
    }

    base::Result<std::vector<std::shared_ptr<Block>>> read_ring(const JournalRegion& region) {
        std::vector<std::shared_ptr<Block>> ring;
        for (std::uint64_t i = 0; i < region.ring_blocks; ++i) {
            auto image = std::make_shared<Block>();
            BASE_TRY(device_.read(region.ring_place(i), {image.get(), 1}));
            ring.push_back(std::move(image));
        }
        return ring;
    }

    base::Result<Answer> read_content(InodeNumber number, std::uint64_t size) {
        std::string text;
        auto image = std::make_unique<Block>();
        for (std::uint64_t next = 0; next * block_size < size; ++next) {
            Mapping mapping;
            BASE_TRY(run([&](View& view) -> base::Result<void> {
                BASE_ASSIGN(mapping, map_block(view, number, next, 1));
                return {};
            }));
            *image = Block{};
            if (!mapping.is_hole() && !mapping.unwritten) BASE_TRY(device_.read(mapping.disk_block, {image.get(), 1}));
            const auto length = std::min<std::uint64_t>(block_size, size - next * block_size);
            text += base::as_text(base::ByteView(image->bytes).first(static_cast<std::size_t>(length)));
        }
        return Answer{std::move(text), false};
    }

    SynchronousDevice& device_;
    const Superblock& superblock_;
    WholeDevice whole_;
    base::JsonWriter out_;
};

struct Row {
    const char* name;
    const char* other_name;
    base::Result<Answer> (Commands::*run)(const std::string& argument);
};
constexpr Row rows[] = {
    {"superblock", "stats", &Commands::superblock},
    {"slots", "slotmap", &Commands::slots},
    {"inode", "stat", &Commands::inode},
    {"ls", "dir", &Commands::list},
    {"extents", "dump_extents", &Commands::extents},
    {"journal", "logdump", &Commands::journal},
    {"group", "grpextents", &Commands::group},
    {"block", "dump", &Commands::block},
    {"cat", "print", &Commands::cat},
};

constexpr CommandHelp help[] = {
    {"superblock", "the superblock, its backups and the slots' places"},
    {"slots", "which node is mounted in which slot"},
    {"inode N|PATH", "an inode, whatever its condition"},
    {"ls [N|PATH]", "the entries of a directory"},
    {"extents N|PATH", "where a file's blocks are"},
    {"journal [SLOT]", "a journal's header and the records that a replay would apply"},
    {"group N", "an allocation group's maps"},
    {"block N", "any block as what it says it is"},
    {"cat N|PATH", "a file's content"},
};

}  // namespace

std::span<const CommandHelp> command_help() { return help; }

base::Result<Answer> run_command(SynchronousDevice& device, const Superblock& superblock,
                                 const std::vector<std::string>& words) {
    const auto& name = words.at(0);
    const auto argument = words.size() > 1 ? words[1] : std::string();
    for (const auto& row : rows) {
        if (name == row.name || name == row.other_name) {
            Commands commands(device, superblock);
            return (commands.*row.run)(argument);
        }
    }
    return base::failure(std::errc::invalid_argument, "no command \"" + name + "\"");
}

}  // namespace debugfs_cfs

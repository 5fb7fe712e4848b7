#include <algorithm>
#include <cstdio>

#include "tools/debugfs_cfs/describe.hh"

namespace debugfs_cfs {

using namespace clusterfs;

const char* type_text(std::uint32_t mode) {
    switch (type_of_mode(mode)) {
        case mode_regular:
            return "file";
        case mode_directory:
            return "directory";
        case mode_symlink:
            return "symlink";
        case mode_block_device:
            return "block device";
        case mode_character_device:
            return "character device";
        case mode_fifo:
            return "fifo";
        case mode_socket:
            return "socket";
        default:
            return "none";
    }
}

namespace {

constexpr const char* content_names[] = {"none", "inline data", "extents", "inline directory", "directory tree"};
constexpr const char* flag_names[] = {"immutable", "append_only", "no_atime", "orphan", "system", "deleted"};

void describe_records(base::JsonWriter& out, const TreeNodeHeader& node, std::span<const TreeRecord> records) {
    out.member("level", node.level).member("count", node.count);
    out.key("records").begin_array();
    for (const auto& record : records.first(std::min<std::size_t>(node.count, records.size()))) {
        out.begin_object().member("key", record.key).member("value", record.value).member("count", record.count);
        out.member("unwritten", record.unwritten()).end_object();
    }
    out.end_array();
}

void describe_entries(base::JsonWriter& out, base::ByteView used) {
    out.key("entries").begin_array();
    EntryReader reader(used);
    for (EntryView entry; reader.next(entry);) {
        out.begin_object().member("inode", entry.inode).member("type", type_text(std::uint32_t{entry.type} << 12));
        out.member("cookie", entry.cookie).member("name", entry.name).end_object();
    }
    out.end_array().member("entries_whole", reader.ok());
}

void describe_xattrs(base::JsonWriter& out, base::ByteView used) {
    out.key("xattrs").begin_array();
    XattrReader reader(used);
    for (XattrView entry; reader.next(entry);) {
        out.begin_object().member("name", entry.name).member("length", entry.value.size()).end_object();
    }
    out.end_array().member("xattrs_whole", reader.ok());
}

void describe_attributes(base::JsonWriter& out, const Inode& inode) {
    char mode[16];
    std::snprintf(mode, sizeof mode, "%07o", inode.mode);
    out.member("inode", inode.header.number).member("file_type", type_text(inode.mode)).member("mode", mode);
    out.member("generation", inode.generation).key("flags").begin_array();
    for (std::size_t bit = 0; bit < std::size(flag_names); ++bit) {
        if ((inode.flags >> bit & 1) != 0) out.value(flag_names[bit]);
    }
    out.end_array();
    out.member("uid", inode.uid).member("gid", inode.gid).member("links", inode.links);
    out.member("size", inode.size).member("blocks", inode.blocks).member("device", inode.device);
    out.member("accessed", time_text(inode.accessed)).member("modified", time_text(inode.modified));
    out.member("changed", time_text(inode.changed)).member("born", time_text(inode.born));
    out.member("change", inode.change).member("parent", inode.parent).member("entry_count", inode.entries);
    out.member("xattr_block", inode.xattr_block).member("xattr_bytes", inode.xattr_bytes);
    out.member("orphan_slot", inode.orphan_slot);
    const auto content = static_cast<std::size_t>(inode.content);
    out.member("content", content < std::size(content_names) ? content_names[content] : "unknown");
}

}  // namespace

void describe(base::JsonWriter& out, const Inode& inode, std::uint64_t device_blocks) {
    describe_attributes(out, inode);
    if (const auto* fault = fault_in(inode, device_blocks)) {
        out.member("fault", fault);
        return;
    }
    if (inode.xattr_bytes > 0) describe_xattrs(out, inline_xattrs_of(inode));
    if (is_tree(inode.content)) {
        describe_records(out, root_of(inode), {root_records_of(inode), root_capacity_of(inode)});
    } else if (inode.content == Content::directory) {
        describe_entries(out, content_of(inode).first(inode.content_bytes));
    } else if (is_symlink(inode)) {
        out.member("target", base::as_text(content_of(inode).first(static_cast<std::size_t>(inode.size))));
    }
}

void describe(base::JsonWriter& out, const TreeNode& node) { describe_records(out, node.node, node.records); }

void describe(base::JsonWriter& out, const DirectoryLeaf& leaf) {
    out.member("first_cookie", leaf.first_cookie).member("used", leaf.used).member("count", leaf.count);
    if (fault_in(leaf) == nullptr) describe_entries(out, base::ByteView(leaf.entries).first(leaf.used));
}

void describe(base::JsonWriter& out, const XattrBlock& block) {
    out.member("used", block.used).member("count", block.count);
    if (fault_in(block) == nullptr) describe_xattrs(out, base::ByteView(block.entries).first(block.used));
}

}  // namespace debugfs_cfs

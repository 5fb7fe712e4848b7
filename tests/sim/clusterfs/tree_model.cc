#include "tests/sim/clusterfs/tree_model.hh"

namespace sim {

std::string TreeOperation::text() const {
    static constexpr const char* names[] = {"lookup", "list", "look",  "create", "mkdir", "unlink",  "rmdir",
                                            "rename", "link", "chmod", "read",   "write", "truncate"};
    std::string text = names[static_cast<int>(kind)];
    if (directory != 0) text += " " + std::to_string(directory) + "/" + name;
    if (directory_2 != 0) text += " to " + std::to_string(directory_2) + "/" + name_2;
    if (inode != 0) text += " inode " + std::to_string(inode) + "." + std::to_string(generation);
    if (kind == Kind::write) text += " at " + std::to_string(offset) + "+" + std::to_string(data.size());
    if (kind == Kind::truncate) text += " to " + std::to_string(offset);
    return text;
}

const ModelInode* TreeModel::find(InodeNumber inode, std::uint64_t generation) const {
    const auto found = inodes_.find(inode);
    if (found == inodes_.end()) return nullptr;
    return generation == 0 || found->second.generation == generation ? &found->second : nullptr;
}

ModelInode* TreeModel::directory(InodeNumber inode, std::uint64_t generation) {
    auto* found = const_cast<ModelInode*>(find(inode, generation));
    return found != nullptr && found->directory ? found : nullptr;
}

bool TreeModel::apply(const TreeOperation& operation) {
    using Kind = TreeOperation::Kind;
    switch (operation.kind) {
        case Kind::lookup: {
            const auto* in = directory(operation.directory, operation.directory_generation);
            return in != nullptr && in->entries.contains(operation.name);
        }
        case Kind::list:
            return directory(operation.directory, operation.directory_generation) != nullptr;
        case Kind::look:
        case Kind::read:
            return find(operation.inode, operation.generation) != nullptr;
        case Kind::create:
            return add(operation, false);
        case Kind::make_directory:
            return add(operation, true);
        case Kind::unlink:
            return remove(operation, false);
        case Kind::remove_directory:
            return remove(operation, true);
        case Kind::rename:
            return rename(operation);
        case Kind::link:
            return link(operation);
        case Kind::chmod:
        case Kind::write:
        case Kind::truncate:
            return change_file(operation);
    }
    return false;
}

bool TreeModel::add(const TreeOperation& operation, bool is_directory) {
    auto* in = directory(operation.directory, operation.directory_generation);
    if (in == nullptr || in->entries.contains(operation.name)) return false;
    in->entries[operation.name] = operation.inode;
    auto& made = inodes_[operation.inode];
    made = {};
    made.directory = is_directory;
    made.generation = operation.generation;
    made.permissions = operation.permissions;
    made.parent = is_directory ? operation.directory : 0;
    return true;
}

void TreeModel::drop_link(InodeNumber inode) {
    auto& file = inodes_.at(inode);
    if (file.directory || --file.links == 0) inodes_.erase(inode);
}

bool TreeModel::remove(const TreeOperation& operation, bool is_directory) {
    auto* in = directory(operation.directory, operation.directory_generation);
    if (in == nullptr) return false;
    const auto entry = in->entries.find(operation.name);
    if (entry == in->entries.end()) return false;
    const auto& what = inodes_.at(entry->second);
    if (what.directory != is_directory || !what.entries.empty()) return false;
    drop_link(entry->second);
    in->entries.erase(entry);
    return true;
}

bool TreeModel::lies_in(InodeNumber inode, InodeNumber ancestor) const {
    for (auto at = inode;; at = inodes_.at(at).parent) {
        if (at == ancestor) return true;
        if (inodes_.at(at).parent == at) return false;
    }
}

bool TreeModel::rename(const TreeOperation& operation) {
    auto* from = directory(operation.directory, operation.directory_generation);
    auto* to = directory(operation.directory_2, operation.directory_2_generation);
    if (from == nullptr || to == nullptr) return false;
    const auto source = from->entries.find(operation.name);
    if (source == from->entries.end()) return false;
    const auto moved = source->second;
    auto& what = inodes_.at(moved);
    if (what.directory && lies_in(operation.directory_2, moved)) return false;
    const auto target = to->entries.find(operation.name_2);
    if (target != to->entries.end()) {
        if (target->second == moved) return true;
        const auto& victim = inodes_.at(target->second);
        if (victim.directory != what.directory || !victim.entries.empty()) return false;
        drop_link(target->second);
    }
    to->entries[operation.name_2] = moved;
    from->entries.erase(operation.name);
    if (what.directory) what.parent = operation.directory_2;
    return true;
}

bool TreeModel::link(const TreeOperation& operation) {
    auto* file = const_cast<ModelInode*>(find(operation.inode, operation.generation));
    auto* in = directory(operation.directory, operation.directory_generation);
    if (file == nullptr || in == nullptr || file->directory || in->entries.contains(operation.name)) return false;
    in->entries[operation.name] = operation.inode;
    ++file->links;
    return true;
}

bool TreeModel::change_file(const TreeOperation& operation) {
    auto* file = const_cast<ModelInode*>(find(operation.inode, operation.generation));
    if (file == nullptr) return false;
    if (operation.kind == TreeOperation::Kind::chmod) {
        file->permissions = operation.permissions;
        return true;
    }
    if (file->directory) return false;
    if (operation.kind == TreeOperation::Kind::truncate) {
        file->data.resize(operation.offset, '\0');
        return true;
    }
    const auto end = operation.offset + operation.data.size();
    if (file->data.size() < end) file->data.resize(end, '\0');
    file->data.replace(operation.offset, operation.data.size(), operation.data);
    return true;
}

}  // namespace sim

#include "tests/unit/clusterfs_operations/posix_model.hh"

#include <utility>

namespace clusterfs::test {

using operations::RenameMode;

PosixModel::PosixModel() {
    auto& top = inodes[root];
    top.type = ModelInode::Type::directory;
    top.permissions = 0755;
    top.links = 2;
}

int PosixModel::find(int directory, const std::string& name) const {
    const auto& entries = inodes.at(directory).entries;
    const auto found = entries.find(name);
    return found == entries.end() ? 0 : found->second;
}

bool PosixModel::lies_below(int inode, int ancestor) const {
    for (; inode != root; inode = inodes.at(inode).parent) {
        if (inode == ancestor) return true;
    }
    return ancestor == root;
}

std::errc PosixModel::create_outcome(int directory, const std::string& name) const {
    const auto& parent = inodes.at(directory);
    if (!parent.is_directory()) return std::errc::not_a_directory;
    if (parent.links == 0) return std::errc::no_such_file_or_directory;
    return find(directory, name) != 0 ? std::errc::file_exists : std::errc{};
}

std::errc PosixModel::link_outcome(int inode, int directory, const std::string& name) const {
    if (inodes.at(inode).is_directory()) return std::errc::operation_not_permitted;
    return create_outcome(directory, name);
}

std::errc PosixModel::unlink_outcome(int directory, const std::string& name) const {
    const auto& parent = inodes.at(directory);
    if (!parent.is_directory()) return std::errc::not_a_directory;
    const auto victim = find(directory, name);
    if (victim == 0) return std::errc::no_such_file_or_directory;
    return inodes.at(victim).is_directory() ? std::errc::is_a_directory : std::errc{};
}

std::errc PosixModel::remove_directory_outcome(int directory, const std::string& name) const {
    const auto& parent = inodes.at(directory);
    if (!parent.is_directory()) return std::errc::not_a_directory;
    const auto victim = find(directory, name);
    if (victim == 0) return std::errc::no_such_file_or_directory;
    if (!inodes.at(victim).is_directory()) return std::errc::not_a_directory;
    return inodes.at(victim).entries.empty() ? std::errc{} : std::errc::directory_not_empty;
}

std::errc PosixModel::rename_outcome(int from, const std::string& old_name, int to, const std::string& new_name,
                                     RenameMode mode) const {
    for (const auto directory : {from, to}) {
        if (!inodes.at(directory).is_directory()) return std::errc::not_a_directory;
        if (inodes.at(directory).links == 0) return std::errc::no_such_file_or_directory;
    }
    const auto source = find(from, old_name);
    const auto target = find(to, new_name);
    if (source == 0) return std::errc::no_such_file_or_directory;
    if (mode == RenameMode::no_replace && target != 0) return std::errc::file_exists;
    if (mode == RenameMode::exchange && target == 0) return std::errc::no_such_file_or_directory;
    if (source == target) return {};
    const auto& moved = inodes.at(source);
    if (from != to && moved.is_directory() && lies_below(to, source)) return std::errc::invalid_argument;
    if (target == 0) return {};
    const auto& other = inodes.at(target);
    if (mode == RenameMode::exchange) {
        return from != to && other.is_directory() && lies_below(from, target) ? std::errc::invalid_argument
                                                                              : std::errc{};
    }
    if (moved.is_directory() && !other.is_directory()) return std::errc::not_a_directory;
    if (!moved.is_directory() && other.is_directory()) return std::errc::is_a_directory;
    return other.entries.empty() ? std::errc{} : std::errc::directory_not_empty;
}

int PosixModel::created(int directory, const std::string& name, ModelInode inode) {
    const auto number = next_++;
    auto& parent = inodes.at(directory);
    parent.entries[name] = number;
    if (inode.is_directory()) {
        inode.links = 2;
        ++parent.links;
    }
    inode.parent = directory;
    inodes[number] = std::move(inode);
    return number;
}

void PosixModel::linked(int inode, int directory, const std::string& name) {
    inodes.at(directory).entries[name] = inode;
    ++inodes.at(inode).links;
}

void PosixModel::lose_link(int inode) {
    auto& victim = inodes.at(inode);
    if (victim.is_directory()) {
        --inodes.at(victim.parent).links;
        victim.links = 0;
    } else {
        --victim.links;
    }
    forget_if_unused(inode);
}

void PosixModel::forget_if_unused(int inode) {
    const auto& victim = inodes.at(inode);
    if (victim.links == 0 && victim.open_on.empty()) inodes.erase(inode);
}

void PosixModel::unlinked(int directory, const std::string& name) {
    const auto victim = find(directory, name);
    inodes.at(directory).entries.erase(name);
    lose_link(victim);
}

void PosixModel::set_parent(int inode, int directory) {
    auto& moved = inodes.at(inode);
    if (!moved.is_directory() || moved.parent == directory) return;
    --inodes.at(moved.parent).links;
    ++inodes.at(directory).links;
    moved.parent = directory;
}

void PosixModel::renamed(int from, const std::string& old_name, int to, const std::string& new_name, RenameMode mode) {
    const auto source = find(from, old_name);
    const auto target = find(to, new_name);
    if (source == target) return;
    inodes.at(to).entries[new_name] = source;
    if (mode == RenameMode::exchange) {
        inodes.at(from).entries[old_name] = target;
        set_parent(target, from);
    } else {
        inodes.at(from).entries.erase(old_name);
        if (target != 0) lose_link(target);
    }
    set_parent(source, to);
}

void PosixModel::closed(int inode, std::size_t which) {
    auto& open_on = inodes.at(inode).open_on;
    open_on.erase(open_on.begin() + static_cast<std::ptrdiff_t>(which));
    forget_if_unused(inode);
}

}  // namespace clusterfs::test

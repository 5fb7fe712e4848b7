#include "tests/crash/scripted_mount.hh"

#include <algorithm>

#include "clusterfs/core/inode.hh"
#include "clusterfs/core/operations/attributes.hh"
#include "clusterfs/core/operations/extended_attributes.hh"
#include "clusterfs/core/operations/names.hh"
#include "clusterfs/core/operations/remove.hh"
#include "clusterfs/core/operations/rename.hh"
#include "clusterfs/core/operations/resize.hh"
#include "tests/sim/common/run_seeds.hh"

namespace crash {

using namespace clusterfs;
namespace ops = clusterfs::operations;

namespace {

bool lies_in(const std::string& path, const std::string& directory) {
    return path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/';
}

bool is_directory_mode(std::uint32_t mode) { return type_of_mode(mode) == mode_directory; }

// The name and all that lies below it.
std::map<std::string, FileId> extract(TreeState& state, const std::string& path) {
    std::map<std::string, FileId> taken;
    for (const auto& [name, id] : state.names) {
        if (name == path || lies_in(name, path)) taken[name.substr(path.size())] = id;
    }
    for (const auto& [rest, id] : taken) state.names.erase(path + rest);
    return taken;
}

void insert(TreeState& state, const std::string& path, const std::map<std::string, FileId>& taken) {
    for (const auto& [rest, id] : taken) state.names[path + rest] = id;
}

}  // namespace

ScriptedMount::ScriptedMount(sim::Device& device, Record& record, History& history, std::uint64_t seed)
    : record_(record),
      history_(history),
      state_(history.versions.back()),
      random_(seed),
      session_(device, seed),
      promised_(history.versions.size() - 1),
      last_file_(1000 * seed) {}

void ScriptedMount::applied(const Change& change) {
    change(state_);
    history_.versions.push_back(state_);
    record_.note({history_.versions.size() - 1, promised_});
}

void ScriptedMount::promised(std::size_t version) {
    promised_ = version;
    record_.note({history_.versions.size() - 1, promised_});
}

bool ScriptedMount::made(const base::Result<void>& outcome) {
    if (outcome) return true;
    if (outcome.error().code == std::errc::no_space_on_device) return false;
    throw sim::Violation("an operation of the script failed: " + outcome.error().message());
}

bool ScriptedMount::change(const Mount::Operation& operation, const Change& change) {
    return made(session_.run(
        [&](View& view) -> base::Result<void> {
            BASE_TRY(view.will_change());
            return operation(view);
        },
        [&] { applied(change); }));
}

InodeReference ScriptedMount::find(const std::string& path) {
    const auto found = session_.find(path);
    if (!found) throw sim::Violation("/" + path + " is not found: " + found.error().message());
    return *found;
}

InodeReference ScriptedMount::parent_of(const std::string& path, std::string& name) {
    const auto slash = path.rfind('/');
    name = slash == std::string::npos ? path : path.substr(slash + 1);
    return find(slash == std::string::npos ? "" : path.substr(0, slash));
}

bool ScriptedMount::add(const std::string& path, std::uint32_t mode, const std::string& target) {
    std::string name;
    const auto parent = parent_of(path, name);
    return change(
        [&](View& view) -> base::Result<void> {
            if (type_of_mode(mode) == mode_symlink) {
                BASE_TRY(ops::symlink(view, parent, name, target, {}));
            } else {
                ops::NewFile file;
                file.mode = mode;
                BASE_TRY(ops::create(view, parent, name, file));
            }
            return {};
        },
        [&](TreeState& state) {
            state.names[path] = ++last_file_;
            state.files[last_file_] = std::make_shared<FileState>(FileState{mode, target, {}});
        });
}

bool ScriptedMount::create(const std::string& path, std::uint32_t permissions) {
    return add(path, mode_regular | permissions, {});
}
bool ScriptedMount::make_directory(const std::string& path) { return add(path, mode_directory | 0755, {}); }
bool ScriptedMount::symlink(const std::string& path, const std::string& target) {
    return add(path, mode_symlink | 0777, target);
}

void ScriptedMount::link(const std::string& from, const std::string& to) {
    std::string name;
    const auto inode = find(from);
    const auto parent = parent_of(to, name);
    change(
        [&](View& view) -> base::Result<void> {
            BASE_TRY(ops::link(view, inode, parent, name));
            return {};
        },
        [&](TreeState& state) { state.names[to] = state.names.at(from); });
}

void ScriptedMount::remove(const std::string& path, bool directory) {
    std::string name;
    const auto parent = parent_of(path, name);
    ops::Removed removed;
    change(
        [&](View& view) -> base::Result<void> {
            BASE_ASSIGN(removed,
                        directory ? ops::remove_directory(view, parent, name) : ops::unlink(view, parent, name));
            return {};
        },
        [&](TreeState& state) { state.names.erase(path); });
    if (removed.orphaned) session_.delete_orphan(removed.inode);
}

void ScriptedMount::unlink(const std::string& path) { remove(path, false); }
void ScriptedMount::remove_directory(const std::string& path) { remove(path, true); }

void ScriptedMount::rename(const std::string& from, const std::string& to, bool exchange) {
    std::string old_name;
    std::string new_name;
    const auto old_parent = parent_of(from, old_name);
    const auto new_parent = parent_of(to, new_name);
    ops::Removed removed;
    change(
        [&](View& view) -> base::Result<void> {
            BASE_ASSIGN(removed, ops::rename(view, old_parent, old_name, new_parent, new_name,
                                             exchange ? ops::RenameMode::exchange : ops::RenameMode::replace));
            return {};
        },
        [&](TreeState& state) {
            const auto moved = extract(state, from);
            const auto replaced = extract(state, to);
            insert(state, to, moved);
            if (exchange) insert(state, from, replaced);
        });
    if (removed.orphaned) session_.delete_orphan(removed.inode);
}

void ScriptedMount::rename(const std::string& from, const std::string& to) { rename(from, to, false); }
void ScriptedMount::exchange(const std::string& one, const std::string& other) { rename(one, other, true); }

void ScriptedMount::edit(const std::string& path, const std::function<void(FileState&)>& change) {
    auto& file = state_.files.at(state_.names.at(path));
    auto edited = std::make_shared<FileState>(*file);
    change(*edited);
    file = edited;
}

void ScriptedMount::chmod(const std::string& path, std::uint32_t permissions) {
    const auto inode = find(path);
    change(
        [&](View& view) -> base::Result<void> {
            ops::AttributeChange attributes;
            attributes.permissions = permissions;
            BASE_TRY(ops::set_attributes(view, inode, attributes));
            return {};
        },
        [&](TreeState&) { edit(path, [&](FileState& file) { file.mode = type_of_mode(file.mode) | permissions; }); });
}

bool ScriptedMount::set_xattr(const std::string& path, const std::string& name, const std::string& value) {
    const auto inode = find(path);
    return change(
        [&](View& view) {
            return ops::set_xattr(view, inode, name, base::as_bytes(value), ops::XattrMode::create_or_replace);
        },
        [&](TreeState&) { edit(path, [&](FileState& file) { file.xattrs[name] = value; }); });
}

void ScriptedMount::remove_xattr(const std::string& path, const std::string& name) {
    const auto inode = find(path);
    change([&](View& view) { return ops::remove_xattr(view, inode, name); },
           [&](TreeState&) { edit(path, [&](FileState& file) { file.xattrs.erase(name); }); });
}

bool ScriptedMount::write(const std::string& path, std::uint64_t offset, const std::string& data) {
    const auto inode = find(path);
    const auto overwrite = begin_overwrite(path, offset, data);
    sim::FileRequest request;
    request.kind = sim::FileRequest::Kind::write;
    request.inode = inode;
    request.offset = offset;
    request.data = data;
    const auto outcome = session_.work_on_file(request, [&](std::uint64_t at, std::uint64_t length, FileData) {
        if (length == 0) return;
        applied([&](TreeState&) {
            edit(path, [&](FileState& file) {
                if (file.data.size() < at + length) file.data.resize(at + length, '\0');
                file.data.replace(at, length, data, at - offset, length);
            });
        });
    });
    history_.overwrites[overwrite].version_after = history_.versions.size() - 1;
    return made(outcome);
}

// Growing writes zeros behind the old end, in place.
std::size_t ScriptedMount::begin_overwrite(const std::string& path, std::uint64_t offset, const std::string& data) {
    const auto from = std::min<std::uint64_t>(offset, state_.at(path).data.size());
    history_.overwrites.push_back(
        {state_.names.at(path), from, std::string(offset - from, '\0') + data, history_.versions.size() - 1, SIZE_MAX});
    return history_.overwrites.size() - 1;
}

bool ScriptedMount::append(const std::string& path, const std::string& data) {
    return write(path, state_.at(path).data.size(), data);
}

void ScriptedMount::truncate(const std::string& path, std::uint64_t size) {
    const auto overwrite = begin_overwrite(path, size, {});
    sim::FileRequest request;
    request.kind = sim::FileRequest::Kind::truncate;
    request.inode = find(path);
    request.offset = size;
    const auto outcome = session_.work_on_file(request, [&](std::uint64_t, std::uint64_t, FileData) {
        applied([&](TreeState&) { edit(path, [&](FileState& file) { file.data.resize(size, '\0'); }); });
    });
    history_.overwrites[overwrite].version_after = history_.versions.size() - 1;
    if (!made(outcome)) throw sim::Violation("a truncation found no space");
}

bool ScriptedMount::reserve(const std::string& path, std::uint64_t bytes) {
    const auto inode = find(path);
    for (bool done = false; !done;) {
        const auto outcome = session_.run([&](View& view) -> base::Result<void> {
            BASE_ASSIGN(const auto step, ops::preallocate(view, inode, 0, bytes, ops::Preallocation::keep_size, 0));
            done = step.done;
            if (step.work) return base::failure(std::errc::not_supported, "only for empty files");
            return {};
        });
        if (!made(outcome)) return false;
    }
    return true;
}

void ScriptedMount::open(const std::string& path) {
    open_.push_back(find(path));
    session_.open(open_.back());
}

void ScriptedMount::close_all() {
    for (const auto& inode : std::exchange(open_, {})) session_.close(inode);
}

void ScriptedMount::sync() {
    session_.commit([this, version = history_.versions.size() - 1] { promised(version); });
}

void ScriptedMount::maybe_sync() {
    if (random_.one_in(3)) sync();
    if (random_.one_in(60)) pass(base::Duration::seconds(6));
}

void ScriptedMount::remove_tree(const std::string& path) {
    std::vector<std::string> paths;
    for (const auto& [name, id] : state_.names) {
        if (lies_in(name, path)) paths.push_back(name);
    }
    paths.push_back(path);
    std::sort(paths.begin(), paths.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
    for (const auto& name : paths) {
        const bool directory = is_directory_mode(state_.at(name).mode);
        remove(name, directory);
        maybe_sync();
    }
}

void ScriptedMount::unmount() {
    close_all();
    session_.unmount([this] { promised(history_.versions.size() - 1); });
}

}  // namespace crash

// Names, files and directories: the real operations on both nodes, against a filesystem in memory.
#include <array>
#include <set>

#include "clusterfs/core/check/check_filesystem.hh"
#include "clusterfs/core/inode.hh"
#include "clusterfs/core/operations/attributes.hh"
#include "clusterfs/core/operations/names.hh"
#include "clusterfs/core/operations/open.hh"
#include "clusterfs/core/operations/read_directory.hh"
#include "clusterfs/core/operations/remove.hh"
#include "clusterfs/core/operations/rename.hh"
#include "clusterfs/core/whole_device.hh"
#include "tests/sim/clusterfs/file_task.hh"
#include "tests/sim/clusterfs/tree_model.hh"
#include "tests/sim/clusterfs/workload.hh"

namespace sim {
namespace {

using namespace clusterfs;
using operations::InodeReference;
using Kind = TreeOperation::Kind;

void require(const base::Result<void>& outcome) {
    if (!outcome) throw Violation(outcome.error().message());
}

// What an operation answered.
struct Answer {
    operations::Attributes attributes;
    std::map<std::string, InodeNumber> entries;
    InodeReference orphan;
};

class Tree : public Workload {
  public:
    void prepare(Device& device) override {
        const auto superblock = read_superblock(device, superblock_number);
        if (!superblock) throw Violation("the superblock: " + superblock.error().message());
        root_ = superblock->root_inode;
        WholeDevice whole(device, *superblock);
        start_.emplace(root_);
        for (std::size_t node = 0; node < markers_.size(); ++node) {
            TreeOperation make;
            make.kind = Kind::create;
            make.directory = root_;
            make.name = "marker" + std::to_string(node);
            make.permissions = 0600;
            Answer answer;
            require(whole.run([&](View& view) { return perform(view, make, answer); }, {}));
            markers_[node] = make.inode = answer.attributes.inode;
            make.generation = answer.attributes.generation;
            start_->apply(make);
        }
        require(whole.flush());
        model_.emplace(*start_);
    }

    ClientOperation next(int node, Random& random) override {
        const auto wanted = std::make_shared<TreeOperation>(choose(node, random));
        if (wanted->kind >= Kind::read) return file_operation(node, wanted);
        const auto answer = std::make_shared<Answer>();
        ClientOperation operation;
        operation.text = wanted->text();
        operation.run = [this, node, wanted, answer](View& view) -> base::Result<void> {
            *answer = {};
            if (wanted->changes()) BASE_TRY(view.will_change());
            BASE_TRY(perform(view, *wanted, *answer));
            if (!wanted->changes()) return {};
            return mark(view, node);
        };
        const auto changed = std::make_shared<std::vector<InodeNumber>>();
        operation.done = [this, node, wanted, answer, changed](const base::Result<void>& outcome) {
            if (wanted->kind == Kind::create || wanted->kind == Kind::make_directory) {
                wanted->inode = answer->attributes.inode;
                wanted->generation = answer->attributes.generation;
            }
            const bool in_model = compare(*wanted, *answer, outcome);
            if (!outcome || !wanted->changes()) return;
            const auto number = ++changes_;
            last_change_[node] = number;
            if (!in_model) return;
            log_.push_back({node, number, *wanted});
            if (wanted->directory != 0) changed->push_back(wanted->directory);
            if (wanted->directory_2 != 0) changed->push_back(wanted->directory_2);
            if (wanted->inode != 0) changed->push_back(wanted->inode);
        };
        operation.changed = [changed] { return *changed; };
        operation.follow_up = [answer]() -> Mount::Operation {
            if (answer->orphan.number == 0) return nullptr;
            return [answer](View& view) -> base::Result<void> {
                BASE_ASSIGN(const auto deletion, operations::delete_orphan(view, answer->orphan));
                if (deletion != operations::Deletion::more) answer->orphan = {};
                return {};
            };
        };
        if (wanted->kind == Kind::list || wanted->kind == Kind::lookup) operation.read.push_back(wanted->directory);
        if (wanted->kind == Kind::look) operation.read.push_back(wanted->inode);
        return operation;
    }

    std::uint64_t last_change(int node) const override { return last_change_[node]; }

    std::uint64_t marker(const Device& device, int node) const override {
        return device.current(markers_[node]).as<Inode>().device;
    }

    // What remains is done anew: an operation that had built upon a lost one is found by that.
    void undo(int node, std::uint64_t kept, std::uint64_t whole) override {
        // Bytes that were being overwritten, or were without the change having become durable, may be old or new.
        for (const auto& [inode, writes] : std::exchange(busy_[node], {})) {
            const auto* file = model_->find(inode, 0);
            if (writes && file != nullptr) uncertain_.emplace(inode, file->generation);
        }
        for (const auto& entry : log_) {
            if (entry.node != node || entry.operation.kind != Kind::write) continue;
            if (entry.number > kept || (entry.number > whole && entry.written == FileData::replaces_old)) {
                uncertain_.emplace(entry.operation.inode, entry.operation.generation);
            }
        }
        note_undone_cuts(node, kept);
        std::erase_if(log_, [&](const Entry& entry) { return entry.node == node && entry.number > kept; });
        model_.emplace(*start_);
        for (const auto& entry : log_) {
            if (model_->apply(entry.operation)) continue;
            throw Violation("#" + std::to_string(entry.number) + " " + entry.operation.text() +
                            " had built upon an operation that was lost");
        }
        last_change_[node] = std::min(last_change_[node], kept);
    }

    std::vector<InodeNumber> inodes() const override {
        std::vector<InodeNumber> numbers;
        for (const auto& [inode, what] : model_->inodes()) numbers.push_back(inode);
        return numbers;
    }

    void check(Device& device) override {
        const auto superblock = read_superblock(device, superblock_number);
        if (!superblock) throw Violation("the superblock: " + superblock.error().message());
        WholeDevice whole(device, *superblock);
        for (const auto& [inode, what] : model_->inodes()) {
            TreeOperation look;
            look.kind = what.directory ? Kind::list : Kind::look;
            (what.directory ? look.directory : look.inode) = inode;
            (what.directory ? look.directory_generation : look.generation) = what.generation;
            Answer answer;
            const auto outcome = whole.run(
                [&](View& view) {
                    answer = {};
                    return perform(view, look, answer);
                },
                {});
            compare(look, answer, outcome);
        }
        check_structure(device);
    }

    // fsck finds nothing, journals replayed.
    void check_structure(Device& device) override {
        std::string found;
        checking::CheckOptions options;
        options.read_only = true;
        options.decide = [&](const checking::ProblemRow& row, const std::string& detail) {
            if (row.severity == checking::Severity::note) return false;
            found += "\n" + std::to_string(static_cast<int>(row.problem)) + " " + row.message + ": " + detail;
            return false;
        };
        const auto report = checking::check_filesystem(device, options);
        if (!report) throw Violation("fsck: " + report.error().message());
        if (report->found != 0) throw Violation("fsck finds " + std::to_string(report->found) + " problems" + found);
    }

  private:
    struct Entry {
        int node = 0;
        std::uint64_t number = 0;
        TreeOperation operation;
        FileData written = FileData::becomes_visible;
    };

    // A file that was cut off and grew again: its bytes from the cut on may be zeros already when it has its old size
    // back.
    void note_undone_cuts(int node, std::uint64_t kept) {
        std::set<std::pair<InodeNumber, std::uint64_t>> cut;
        for (const auto& entry : log_) {
            if (entry.node != node || entry.number <= kept || entry.operation.kind != Kind::truncate) continue;
            const auto file = std::pair(entry.operation.inode, entry.operation.generation);
            if (!cut.insert(file).second) uncertain_.insert(file);
        }
    }

    // Mostly what exists, now and then what existed once.
    TreeOperation choose(int node, Random& random) {
        std::vector<std::pair<InodeNumber, std::uint64_t>> directories;
        std::vector<std::pair<InodeNumber, std::uint64_t>> files;
        for (const auto& [inode, what] : model_->inodes()) {
            if (inode == markers_[0] || inode == markers_[1]) continue;
            (what.directory ? directories : files).emplace_back(inode, what.generation);
        }
        if (gone_ && random.one_in(20)) directories.assign(1, *gone_);
        if (random.one_in(10)) gone_ = random.pick(directories);
        static constexpr std::array kinds = {
            Kind::lookup, Kind::lookup, Kind::list,   Kind::look,    Kind::look,           Kind::create,
            Kind::create, Kind::create, Kind::unlink, Kind::unlink,  Kind::make_directory, Kind::remove_directory,
            Kind::rename, Kind::rename, Kind::link,   Kind::chmod,   Kind::read,           Kind::read,
            Kind::write,  Kind::write,  Kind::write,  Kind::truncate};
        TreeOperation operation;
        operation.kind = kinds[random.below(kinds.size())];
        const bool on_file = operation.kind == Kind::look || operation.kind == Kind::chmod ||
                             operation.kind == Kind::link || operation.kind >= Kind::read;
        if (on_file && files.empty()) operation.kind = Kind::create;
        if (on_file && !files.empty()) std::tie(operation.inode, operation.generation) = random.pick(files);
        if (operation.kind != Kind::look && operation.kind != Kind::chmod && operation.kind < Kind::read) {
            std::tie(operation.directory, operation.directory_generation) = random.pick(directories);
            operation.name = name(random);
        }
        if (operation.kind == Kind::rename) {
            std::tie(operation.directory_2, operation.directory_2_generation) = random.pick(directories);
            operation.name_2 = name(random);
        }
        if (directories.size() > 12 && operation.kind == Kind::make_directory) operation.kind = Kind::create;
        operation.permissions = static_cast<std::uint32_t>(random.below(512));
        if (operation.kind >= Kind::read) choose_bytes(node, operation, random);
        return operation;
    }

    // The kernel lets one writer at a time at a file of a node; a busy one is only looked at.
    void choose_bytes(int node, TreeOperation& operation, Random& random) {
        if (busy_[node].contains(operation.inode)) {
            operation.kind = Kind::look;
            return;
        }
        const bool small = random.one_in(2);
        operation.offset = random.below(small ? 2000 : 40000);
        if (operation.kind == Kind::truncate && random.one_in(3)) operation.offset = 0;
        if (operation.kind == Kind::write) {
            operation.data.assign(1 + random.below(small ? 1500 : 12000), static_cast<char>('A' + random.below(26)));
        }
    }

    ClientOperation file_operation(int node, const std::shared_ptr<TreeOperation>& wanted) {
        ClientOperation operation;
        operation.text = wanted->text();
        busy_[node][wanted->inode] = wanted->kind != Kind::read;
        operation.task = [this, node, wanted](const TaskContext& context) {
            FileRequest request;
            request.kind = wanted->kind == Kind::read    ? FileRequest::Kind::read
                           : wanted->kind == Kind::write ? FileRequest::Kind::write
                                                         : FileRequest::Kind::truncate;
            request.inode = {wanted->inode, wanted->generation};
            request.offset = wanted->kind == Kind::read ? 0 : wanted->offset;
            request.length = 1 << 20;
            request.data = wanted->data;
            FileTask::start(context.node, std::move(request), hooks(node, wanted, context));
        };
        return operation;
    }

    FileHooks hooks(int node, const std::shared_ptr<TreeOperation>& wanted, const TaskContext& context) {
        FileHooks hooks;
        hooks.mark = [this, node](View& view) { return mark(view, node); };
        hooks.changed = [this, node, wanted, context](std::uint64_t offset, std::uint64_t length, FileData written) {
            last_change_[node] = ++changes_;
            context.changed(wanted->inode);
            auto part = *wanted;
            if (wanted->kind == Kind::write) {
                part.offset = offset;
                part.data = wanted->data.substr(offset - wanted->offset, length);
            }
            // A file that lost its last name while it was open is nobody's business, unless the loss of the name is
            // lost.
            if (model_->apply(part)) {
                log_.push_back({node, changes_, part, written});
            } else {
                uncertain_.emplace(wanted->inode, wanted->generation);
            }
        };
        hooks.was_read = [this, wanted](const std::string& data) {
            const auto* truth = model_->find(wanted->inode, wanted->generation);
            if (truth == nullptr || uncertain_.contains({wanted->inode, wanted->generation})) return;
            if (data == truth->data) return;
            throw Violation(wanted->text() + ": reads " + std::to_string(data.size()) + " bytes, other than the " +
                            std::to_string(truth->data.size()) + " written: " + difference(data, truth->data));
        };
        hooks.failed = [this, wanted](const base::Error& error) {
            const auto* truth = model_->find(wanted->inode, wanted->generation);
            if (truth == nullptr) return;
            if (is_refused(error)) {  // bytes that were being overwritten may be old or new
                uncertain_.emplace(wanted->inode, truth->generation);
                return;
            }
            throw Violation(wanted->text() + " failed: " + error.message());
        };
        hooks.finished = [this, node, wanted, finished = context.finished] {
            busy_[node].erase(wanted->inode);
            finished();
        };
        return hooks;
    }

    static std::string difference(const std::string& a, const std::string& b) {
        std::size_t i = 0;
        while (i < a.size() && i < b.size() && a[i] == b[i]) ++i;
        return "first at " + std::to_string(i);
    }

    base::Result<void> mark(View& view, int node) const {
        BASE_TRY(view.lock(inode_lock(markers_[node]), LockMode::exclusive));
        BASE_ASSIGN(auto* marker, modify_inode(view, markers_[node]));
        marker->device = changes_ + 1;
        return {};
    }

    // Long ones fill directories faster.
    static std::string name(Random& random) {
        const auto letter = static_cast<char>('a' + random.below(16));
        return std::string(random.one_in(2) ? 1 : 200, letter);
    }

    base::Result<void> perform(View& view, const TreeOperation& wanted, Answer& answer) const {
        const InodeReference in{wanted.directory, wanted.directory_generation};
        const InodeReference in_2{wanted.directory_2, wanted.directory_2_generation};
        const InodeReference inode{wanted.inode, wanted.generation};
        switch (wanted.kind) {
            case Kind::lookup: {
                BASE_ASSIGN(answer.attributes, operations::lookup(view, in, wanted.name));
                return {};
            }
            case Kind::list:
                return list(view, in, answer);
            case Kind::look: {
                BASE_ASSIGN(answer.attributes, operations::get_attributes(view, inode));
                return {};
            }
            case Kind::create:
            case Kind::make_directory: {
                operations::NewFile made;
                made.mode = (wanted.kind == Kind::create ? mode_regular : mode_directory) | wanted.permissions;
                BASE_ASSIGN(answer.attributes, operations::create(view, in, wanted.name, made));
                return {};
            }
            case Kind::unlink: {
                BASE_ASSIGN(const auto removed, operations::unlink(view, in, wanted.name));
                if (removed.orphaned) answer.orphan = removed.inode;
                return {};
            }
            case Kind::remove_directory: {
                BASE_ASSIGN(const auto removed, operations::remove_directory(view, in, wanted.name));
                if (removed.orphaned) answer.orphan = removed.inode;
                return {};
            }
            case Kind::rename: {
                BASE_ASSIGN(const auto removed, operations::rename(view, in, wanted.name, in_2, wanted.name_2,
                                                                   operations::RenameMode::replace));
                if (removed.orphaned) answer.orphan = removed.inode;
                return {};
            }
            case Kind::link: {
                // As the kernel: what has no name gets none.
                BASE_TRY(view.lock(
                    {{inode_lock(inode.number), LockMode::exclusive}, {inode_lock(in.number), LockMode::exclusive}}));
                BASE_ASSIGN(const auto before, operations::get_attributes(view, inode));
                if (before.links == 0) return base::failure(std::errc::no_such_file_or_directory);
                BASE_ASSIGN(answer.attributes, operations::link(view, inode, in, wanted.name));
                return {};
            }
            case Kind::chmod: {
                operations::AttributeChange change;
                change.permissions = wanted.permissions;
                BASE_ASSIGN(answer.attributes, operations::set_attributes(view, inode, change));
                return {};
            }
            default:
                return base::failure(std::errc::not_supported);
        }
    }

    static base::Result<void> list(View& view, InodeReference in, Answer& answer) {
        for (std::uint64_t after = 0;;) {
            BASE_ASSIGN(const auto items,
                        operations::read_directory(view, in, after, 16, operations::WithAttributes::no));
            if (items.empty()) return {};
            for (const auto& item : items) {
                if (item.name != "." && item.name != "..") answer.entries[item.name] = item.inode;
            }
            after = items.back().cookie;
        }
    }

    // It lost its last name and is not deleted yet, because another node may have it open.
    static bool is_orphan(const TreeOperation& wanted, const Answer& answer) {
        return (wanted.kind == Kind::look || wanted.kind == Kind::chmod) && answer.attributes.links == 0;
    }

    // The model does it too; both must agree. False: the model knows nothing of it.
    bool compare(const TreeOperation& wanted, const Answer& answer, const base::Result<void>& outcome) {
        const auto fail = [&](const std::string& how) {
            throw Violation(wanted.text() + ": " + how + (outcome ? "" : " (" + outcome.error().message() + ")"));
        };
        const bool done = model_->apply(wanted);
        // A client here may name an inode that another node made and lost in a crash before anybody could see it.
        bool exists = true;
        for (const auto inode : {wanted.directory, wanted.directory_2, done ? 0 : wanted.inode}) {
            exists = exists && (inode == 0 || model_->find(inode, 0) != nullptr);
        }
        if (!outcome && exists && outcome.error().code == make_error_code(Errc::corrupted)) fail("damaged");
        if (!done && outcome && is_orphan(wanted, answer)) return false;
        if (done != outcome.has_value()) fail(done ? "must have succeeded" : "must have failed");
        if (!done) return false;
        if (wanted.kind == Kind::list) {
            if (answer.entries != model_->find(wanted.directory, 0)->entries) fail("other entries");
        }
        if (wanted.kind == Kind::lookup) {
            const auto truth = model_->find(wanted.directory, 0)->entries.at(wanted.name);
            if (answer.attributes.inode != truth) fail("finds " + std::to_string(answer.attributes.inode));
        }
        if (wanted.kind == Kind::look || wanted.kind == Kind::chmod || wanted.kind == Kind::link) {
            const auto& truth = *model_->find(wanted.inode, 0);
            if (!truth.directory && answer.attributes.links != truth.links) fail("other link count");
            if (!truth.directory && !uncertain_.contains({wanted.inode, truth.generation}) &&
                answer.attributes.size != truth.data.size()) {
                fail("other size");
            }
            if ((answer.attributes.mode & 07777) != truth.permissions) fail("other permissions");
        }
        return true;
    }

    InodeNumber root_ = 0;
    std::array<InodeNumber, 2> markers_{};
    std::array<std::uint64_t, 2> last_change_{};
    std::uint64_t changes_ = 0;
    std::optional<TreeModel> start_;
    std::optional<TreeModel> model_;
    std::vector<Entry> log_;
    std::array<std::map<InodeNumber, bool>, 2> busy_;  // files being read (false) or changed (true)
    std::set<std::pair<InodeNumber, std::uint64_t>> uncertain_;
    std::optional<std::pair<InodeNumber, std::uint64_t>> gone_;
};

}  // namespace

std::unique_ptr<Workload> make_tree() { return std::make_unique<Tree>(); }

}  // namespace sim

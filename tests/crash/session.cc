#include "tests/crash/session.hh"

#include "clusterfs/core/operations/names.hh"
#include "clusterfs/core/operations/open.hh"
#include "tests/sim/common/run_seeds.hh"

namespace crash {

using namespace clusterfs;
namespace ops = clusterfs::operations;

Session::Session(sim::Device& device, std::uint64_t seed) : random_(seed), locks_(scheduler_, random_.fork()) {
    MountOptions options;
    options.self = {{1}, random_.uuid()};
    sim::Node::Callbacks callbacks;
    callbacks.started = [this] { started_ = true; };
    callbacks.stopped = [this](base::Result<void> outcome) {
        stopped_ = true;
        stop_outcome_ = std::move(outcome);
    };
    callbacks.released_dead = [](base::NodeIncarnation) {};
    node_ = std::make_unique<sim::Node>(sim::Node::Environment{scheduler_, device, locks_, random_}, 0, options,
                                        std::move(callbacks));
    node_->start();
    while (!started_ && !stopped_ && scheduler_.step()) {
    }
    if (started_) return;
    throw sim::Violation("it does not mount: " + (stopped_ ? stop_outcome_.error().message() : "nothing moves"));
}

Session::~Session() = default;

void Session::run_until(const bool& done, const char* what) {
    const auto limit = scheduler_.now() + base::Duration::seconds(100);
    while (!done) {
        if (scheduler_.now() < limit && scheduler_.step()) continue;
        throw sim::Violation(std::string("it never ends: ") + what + " " + node_->describe());
    }
}

base::Result<void> Session::run(Mount::Operation operation, const std::function<void()>& applied) {
    bool done = false;
    base::Result<void> result;
    node_->run(std::move(operation), [&](base::Result<void> outcome) {
        done = true;
        if (outcome && applied) applied();
        result = std::move(outcome);
    });
    run_until(done, "an operation");
    return result;
}

void Session::commit(const std::function<void()>& then) {
    bool done = false;
    node_->commit([&](const base::Result<void>& outcome) {
        if (!outcome) throw sim::Violation("commit: " + outcome.error().message());
        then();
        done = true;
    });
    run_until(done, "a commit");
}

void Session::unmount(const std::function<void()>& then) {
    node_->stop();
    run_until(stopped_, "unmounting");
    if (!stop_outcome_) throw sim::Violation("unmount: " + stop_outcome_.error().message());
    if (then) then();
}

base::Result<void> Session::work_on_file(sim::FileRequest request, decltype(sim::FileHooks::changed) changed) {
    bool done = false;
    base::Result<void> result;
    sim::FileHooks hooks;
    hooks.mark = [](View&) { return base::Result<void>{}; };
    hooks.changed = std::move(changed);
    hooks.was_read = [](const std::string&) {};
    hooks.failed = [&](const base::Error& error) { result = std::unexpected(error); };
    hooks.finished = [&] { done = true; };
    sim::FileTask::start(*node_, std::move(request), std::move(hooks));
    run_until(done, "work on a file");
    return result;
}

base::Result<InodeReference> Session::find(const std::string& path) {
    InodeReference at;
    const auto looked = run([&](View& view) -> base::Result<void> {
        at = {view.superblock().root_inode, 0};
        for (std::size_t from = 0; from < path.size();) {
            const auto end = std::min(path.find('/', from), path.size());
            BASE_ASSIGN(const auto next, ops::lookup(view, at, path.substr(from, end - from)));
            at = {next.inode, next.generation};
            from = end + 1;
        }
        return {};
    });
    if (!looked) return std::unexpected(looked.error());
    return at;
}

void Session::open(InodeReference inode) {
    const auto opened = run([&](View& view) -> base::Result<void> {
        BASE_TRY(ops::open(view, inode));
        return {};
    });
    if (!opened) throw sim::Violation("open: " + opened.error().message());
}

void Session::close(InodeReference inode) {
    node_->unpin(ops::open_lock(inode.number));
    delete_orphan(inode);
}

void Session::delete_orphan(InodeReference inode) {
    auto deletion = ops::Deletion::more;
    while (deletion == ops::Deletion::more) {
        const auto outcome = run([&](View& view) -> base::Result<void> {
            BASE_ASSIGN(deletion, ops::delete_orphan(view, inode));
            return {};
        });
        if (!outcome) return;
    }
}

void Session::pass(base::Duration time) { scheduler_.run_until(scheduler_.now() + time); }

}  // namespace crash

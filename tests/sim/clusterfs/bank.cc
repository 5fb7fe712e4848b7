// Accounts: values in inodes, changed several at a time, some with a metadata block that comes and goes. Every change
// also leaves its number in the node's marker, so that after a crash it is known which of them must be there.
#include <algorithm>
#include <array>
#include <map>

#include "clusterfs/core/inode.hh"
#include "clusterfs/core/whole_device.hh"
#include "tests/sim/clusterfs/workload.hh"

namespace sim {
namespace {

using namespace clusterfs;

constexpr std::size_t account_count = 12;

struct Version {
    int node = 0;
    std::uint64_t number = 0;
    std::int64_t balance = 0;
    std::int64_t stamp = 0;  // in the account's block; 0: it has none
};

class Bank : public Workload {
  public:
    void prepare(Device& device) override {
        const auto superblock = read_superblock(device, superblock_number);
        if (!superblock) throw Violation("the superblock: " + superblock.error().message());
        WholeDevice whole(device, *superblock);
        for (std::size_t i = 0; i < account_count + markers_.size(); ++i) {
            InodeNumber number = 0;
            require(whole.run(
                [&](View& view) -> base::Result<void> {
                    BASE_ASSIGN(number, allocate_inode(view, 0));
                    NewInode attributes;
                    attributes.mode = mode_regular | 0644;
                    BASE_TRY(create_inode(view, number, attributes));
                    return {};
                },
                {}));
            if (i < account_count) {
                accounts_.push_back({number, {Version{}}});
            } else {
                markers_[i - account_count] = number;
            }
        }
        for (const auto& account : accounts_) {
            require(whole.run([&](View& view) { return set(view, account.inode, 0, 0); }, {}));
        }
        require(whole.flush());
    }

    ClientOperation next(int node, Random& random) override {
        std::vector<std::size_t> chosen;
        const auto count = 1 + random.below(3);
        while (chosen.size() < count) {
            const auto i = random.below(account_count);
            if (std::find(chosen.begin(), chosen.end(), i) == chosen.end()) chosen.push_back(i);
        }
        return random.one_in(2) ? look(chosen) : change(node, chosen, random.one_in(4));
    }

    std::uint64_t last_change(int node) const override { return last_change_[node]; }

    std::uint64_t marker(const Device& device, int node) const override {
        return device.current(markers_[node]).as<Inode>().device;
    }

    void undo(int node, std::uint64_t kept, std::uint64_t) override {
        for (auto& account : accounts_) {
            auto& versions = account.versions;
            while (versions.back().node == node && versions.back().number > kept) versions.pop_back();
            for (const auto& version : versions) {
                if (version.node == node && version.number > kept) {
                    throw Violation("a change was lost that another node had built upon");
                }
            }
        }
        last_change_[node] = std::min(last_change_[node], kept);
    }

    std::vector<InodeNumber> inodes() const override {
        std::vector<InodeNumber> numbers;
        for (const auto& account : accounts_) numbers.push_back(account.inode);
        return numbers;
    }

    void check(Device& device) override {
        const auto superblock = read_superblock(device, superblock_number);
        require(superblock ? base::Result<void>{} : std::unexpected(superblock.error()));
        WholeDevice whole(device, *superblock);
        for (std::size_t i = 0; i < account_count; ++i) {
            auto operation = look({i});
            const auto outcome = whole.run(operation.run, {});
            operation.done(outcome);
        }
    }

  private:
    struct Account {
        InodeNumber inode = 0;
        std::vector<Version> versions;  // the last is true
    };
    struct Seen {
        std::int64_t balance = 0;
        std::int64_t stamp = 0;
    };

    static void require(const base::Result<void>& outcome) {
        if (!outcome) throw Violation(outcome.error().message());
    }

    static base::Result<void> set(View& view, InodeNumber inode, std::int64_t balance, std::int64_t stamp) {
        BASE_ASSIGN(auto* account, modify_inode(view, inode));
        account->modified = balance;
        if (stamp == 0) return {};
        BASE_ASSIGN(auto* block, view.modify(account->xattr_block, inode_lock(inode), BlockType::xattr));
        base::store(base::MutableByteView(block->bytes).subspan(64), stamp);
        return {};
    }

    static base::Result<Seen> get(View& view, InodeNumber inode) {
        BASE_ASSIGN(const auto* account, read_inode(view, inode));
        Seen seen{account->modified, 0};
        if (account->xattr_block == 0) return seen;
        BASE_ASSIGN(const auto* block, view.block(account->xattr_block, inode_lock(inode), BlockType::xattr));
        seen.stamp = base::load<std::int64_t>(base::ByteView(block->bytes).subspan(64));
        return seen;
    }

    ClientOperation look(const std::vector<std::size_t>& chosen) {
        ClientOperation operation;
        auto seen = std::make_shared<std::vector<Seen>>();
        operation.text = "look";
        for (const auto i : chosen) {
            operation.text += " " + std::to_string(i);
            operation.read.push_back(accounts_[i].inode);
        }
        operation.run = [this, chosen, seen](View& view) -> base::Result<void> {
            seen->clear();
            base::Result<void> locked;
            for (const auto i : chosen) {
                if (auto one = view.lock(inode_lock(accounts_[i].inode), LockMode::shared); !one) locked = one;
            }
            BASE_TRY(locked);
            for (const auto i : chosen) {
                BASE_ASSIGN(const auto one, get(view, accounts_[i].inode));
                seen->push_back(one);
            }
            return {};
        };
        operation.done = [this, chosen, seen](const base::Result<void>& outcome) {
            require(outcome);
            for (std::size_t i = 0; i < chosen.size(); ++i) {
                const auto& truth = accounts_[chosen[i]].versions.back();
                if ((*seen)[i].balance == truth.balance && (*seen)[i].stamp == truth.stamp) continue;
                throw Violation("account " + std::to_string(chosen[i]) + " says " + std::to_string((*seen)[i].balance) +
                                "/" + std::to_string((*seen)[i].stamp) + " where #" + std::to_string(truth.number) +
                                " had left " + std::to_string(truth.balance) + "/" + std::to_string(truth.stamp));
            }
        };
        return operation;
    }

    ClientOperation change(int node, const std::vector<std::size_t>& chosen, bool toggle) {
        ClientOperation operation;
        auto result = std::make_shared<std::vector<Seen>>();
        operation.text = toggle ? "toggle" : "change";
        for (const auto i : chosen) operation.text += " " + std::to_string(i);
        operation.run = [this, node, chosen, toggle, result](View& view) -> base::Result<void> {
            const auto number = changes_ + 1;
            result->clear();
            BASE_TRY(view.will_change());
            base::Result<void> locked = view.lock(inode_lock(markers_[node]), LockMode::exclusive);
            for (const auto i : chosen) {
                if (auto one = view.lock(inode_lock(accounts_[i].inode), LockMode::exclusive); !one) locked = one;
            }
            BASE_TRY(locked);
            for (const auto i : chosen) {
                BASE_ASSIGN(const auto one, change_one(view, accounts_[i].inode, number, toggle));
                result->push_back(one);
            }
            BASE_ASSIGN(auto* marker, modify_inode(view, markers_[node]));
            marker->device = number;
            return {};
        };
        operation.done = [this, node, chosen, result](const base::Result<void>& outcome) {
            require(outcome);
            const auto number = ++changes_;
            last_change_[node] = number;
            for (std::size_t i = 0; i < chosen.size(); ++i) {
                accounts_[chosen[i]].versions.push_back({node, number, (*result)[i].balance, (*result)[i].stamp});
            }
        };
        operation.changed = [this, chosen] {
            std::vector<InodeNumber> inodes;
            for (const auto i : chosen) inodes.push_back(accounts_[i].inode);
            return inodes;
        };
        return operation;
    }

    static base::Result<Seen> change_one(View& view, InodeNumber inode, std::uint64_t number, bool toggle) {
        BASE_ASSIGN(const auto before, get(view, inode));
        BASE_ASSIGN(auto* account, modify_inode(view, inode));
        Seen after{before.balance + static_cast<std::int64_t>(number), before.stamp};
        if (toggle && account->xattr_block != 0) {
            const auto block = std::exchange(account->xattr_block, 0);
            BASE_TRY(release_owned_block(view, inode, block));
            after.stamp = 0;
        } else if (toggle) {
            BASE_ASSIGN(const auto owned, create_owned_block(view, inode, BlockType::xattr, Purpose::metadata));
            BASE_ASSIGN(account, modify_inode(view, inode));
            account->xattr_block = owned.number;
            after.stamp = static_cast<std::int64_t>(number);
        } else if (after.stamp != 0) {
            after.stamp = static_cast<std::int64_t>(number);
        }
        BASE_TRY(set(view, inode, after.balance, after.stamp));
        return after;
    }

    std::vector<Account> accounts_;
    std::array<InodeNumber, 2> markers_{};
    std::array<std::uint64_t, 2> last_change_{};
    std::uint64_t changes_ = 0;
};

}  // namespace

std::unique_ptr<Workload> make_bank() { return std::make_unique<Bank>(); }

}  // namespace sim

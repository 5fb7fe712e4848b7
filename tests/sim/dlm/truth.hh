// What must be true, told by the clients and judged at once.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/node.hh"
#include "base/uuid.hh"
#include "dlm/core/mode.hh"

namespace sim_dlm {

// One lock of one living session, as its client was told.
struct Holder {
    base::Uuid session;
    dlm::LockId lock = 0;
    auto operator<=>(const Holder&) const = default;
};

class Truth {
  public:
    void granted(const std::string& name, const Holder& holder, dlm::Mode mode, bool recovery);
    // The client gives up something, without asking.
    void lowered(const std::string& name, const Holder& holder, dlm::Mode mode);
    void unlocked(const std::string& name, const Holder& holder);
    // A value block of which all bytes are made from `token`.
    void written(const std::string& name, std::uint64_t token);
    void invalidated(const std::string& name);
    void read(const std::string& name, dlm::Mode mode, std::uint64_t token, bool valid);

    // What it held for writing is out of reach for everybody until it is released.
    void died(const base::Uuid& session, const base::NodeIncarnation& life);
    // That client was told of the death: from then on it is granted nothing that the dead one may have written under.
    void noticed(const base::Uuid& by, const base::NodeIncarnation& life) { noticed_.insert({by, life}); }
    // It was cut off only, and is back for that client.
    void returned(const base::Uuid& by, const base::NodeIncarnation& life) { noticed_.erase({by, life}); }
    void released(const base::NodeIncarnation& life);
    // Nobody is left who knew: the lockspace begins anew, its first client repairs everything before it asks.
    void nobody_knows();
    bool is_dead(const base::NodeIncarnation& life) const { return dead_.contains(life); }
    void left(const base::Uuid& session);

    std::uint64_t grants() const { return grants_; }
    std::uint64_t reads() const { return reads_; }

  private:
    struct Value {
        std::uint64_t token = 0;   // last written
        bool may_be_lost = false;  // a node died since: not valid is right, too
        bool may_be_reset = true;  // nobody had a lock for a moment: zeros are right, too
        bool invalidated = false;
    };
    struct Name {
        std::map<Holder, dlm::Mode> holders;
        std::map<base::NodeIncarnation, dlm::Mode> withheld_for;  // what they held, the strongest
        Value value;
    };
    void note_unused(Name& name) { name.value.may_be_reset |= name.holders.empty(); }

    std::map<std::string, Name> names_;
    std::set<base::NodeIncarnation> dead_;
    std::set<base::NodeIncarnation> unreleased_;
    std::set<std::pair<base::Uuid, base::NodeIncarnation>> noticed_;
    std::uint64_t grants_ = 0;
    std::uint64_t reads_ = 0;
};

}  // namespace sim_dlm

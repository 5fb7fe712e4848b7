// A lockspace with what a node has: CPG, quorum, the node list of Corosync, the secret.
#include "base/io/cpg_messenger.hh"
#include "base/io/log.hh"
#include "base/io/paths.hh"
#include "base/io/quorum.hh"
#include "base/io/secret_file.hh"
#include "dlm/driver/lockspace_client.hh"

namespace dlm {
namespace {

// Forwards, and watches the quorum from start() on.
class NodeLockspace : public LockspaceClient {
  public:
    NodeLockspace(base::EventLoop& loop, std::unique_ptr<LockspaceClient> client)
        : loop_(loop), client_(std::move(client)) {}

    base::Result<void> start(Callbacks callbacks) override {
        BASE_TRY(client_->start(std::move(callbacks)));
        BASE_ASSIGN(quorum_, base::QuorumWatch::start(
                                 loop_, [this](bool quorate) { client_->set_quorate(quorate); },
                                 [this](const base::Error& why) {
                                     base::log_error("dlm: {}", why.message());
                                     client_->set_quorate(false);
                                 }));
        return {};
    }
    void set_quorate(bool quorate) override { client_->set_quorate(quorate); }
    Requested request(const Name& name, Mode mode, Flags flags) override { return client_->request(name, mode, flags); }
    Requested convert(LockId lock, Mode mode, Flags flags, const ValueBytes& value) override {
        return client_->convert(lock, mode, flags, value);
    }
    void unlock(LockId lock, Flags flags, const ValueBytes& value) override { client_->unlock(lock, flags, value); }
    void cancel(LockId lock) override { client_->cancel(lock); }
    void release_dead(const base::NodeIncarnation& life) override { client_->release_dead(life); }
    void leave(std::function<void()> left) override { client_->leave(std::move(left)); }
    void describe(base::JsonWriter& json, bool locks) const override { client_->describe(json, locks); }

  private:
    base::EventLoop& loop_;
    std::unique_ptr<LockspaceClient> client_;
    std::unique_ptr<base::QuorumWatch> quorum_;
};

}  // namespace

base::Result<std::unique_ptr<LockspaceClient>> make_node_lockspace_client(base::EventLoop& loop,
                                                                          const std::string& name,
                                                                          const base::NodeIncarnation& self,
                                                                          base::FenceGate& gate) {
    LockspaceOptions options;
    options.name = name;
    options.self = self;
    options.secret_file = base::etc_path("cfs/secret");
    BASE_ASSIGN(options.secret, base::read_secret(options.secret_file));
    BASE_ASSIGN(const auto nodes, base::configured_nodes());
    for (const auto& node : nodes) {
        options.hosts[node.id] = node.address;
        if (node.id == self.node && !node.address.empty()) options.listen_host = node.address;
    }
    BASE_ASSIGN(auto group, base::make_cpg_messenger(loop));
    return std::make_unique<NodeLockspace>(loop,
                                           make_lockspace_client(loop, std::move(options), std::move(group), gate));
}

}  // namespace dlm

// blockrepd without its main(): the resources of this node, the servers for clients, the control socket.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>

#include "base/fence_gate.hh"
#include "base/io/control_server.hh"
#include "blockrep/config/configuration.hh"
#include "blockrep/driver/attach_server.hh"
#include "blockrep/driver/nbd_server.hh"
#include "blockrep/driver/node_names.hh"
#include "blockrep/driver/resource_driver.hh"

namespace blockrep {

struct DaemonOptions {
    std::string config_path;
    std::string control_path;  // <run>/blockrep/control.sock
    std::string nbd_path;
    std::string attach_path;
    std::optional<base::PeerEndpoint> nbd_tcp;
    bool fencing = true;              // false: resources go on alone without any proof
    base::FenceGate* gate = nullptr;  // needed with fencing
    NodeNames* names = nullptr;

    static DaemonOptions standard();
};

// Loop thread only.
class Daemon : private DeviceDirectory {
  public:
    static base::Result<std::unique_ptr<Daemon>> start(base::EventLoop& loop, DaemonOptions options);
    ~Daemon() override;

    // Hangs up on clients, leaves the peers in good order, closes the disks; calls back once, soon or after `limit`.
    void shut_down(base::Duration limit, std::function<void()> finished);

  private:
    struct Entry {
        config::ResourceConfig config;
        std::shared_ptr<ResourceDriver> driver;
        bool leaving = false;  // the daemon ends
    };
    using Answer = ResourceDriver::Done;
    struct Waiter {
        std::string resource;
        base::ControlReply reply;
        // True: the wait is over, and was answered.
        std::function<bool(const Resource&, const base::ControlReply&)> check;
    };
    struct Step {
        std::function<void(ResourceDriver&, Answer)> run;
        std::function<bool(const base::Error&)> harmless;
    };

    Daemon(base::EventLoop& loop, DaemonOptions options);
    base::Result<void> listen();

    std::vector<std::string> names() const override;
    base::Result<std::shared_ptr<DevicePort>> find(std::string_view name) const override;

    void on_request(const boost::json::object& request, const base::ControlReply& reply);
    bool on_query(const std::string& command, const boost::json::object& request, const base::ControlReply& reply);
    void on_client_query(const std::string& command, const boost::json::object& request,
                         const base::ControlReply& reply);
    void on_command(const std::string& command, Entry& entry, const boost::json::object& request,
                    const base::ControlReply& reply);
    void status(const boost::json::object& request, const base::ControlReply& reply);
    void wait_drained(const boost::json::object& request, const base::ControlReply& reply);
    void wait(const std::string& command, Entry& entry, const base::ControlReply& reply);
    void check_waiters();

    base::Result<Entry*> load(const std::string& name);
    base::Result<ResourceDriver::Options> options_for(const config::ResourceConfig& resource);
    void up(Entry& entry, Answer done);
    void down(Entry& entry, Answer done);
    void run_steps(std::shared_ptr<ResourceDriver> driver, std::vector<Step> steps, Answer done);
    void remove(const std::string& name);
    void leave_all();
    void leave_later();

    base::EventLoop& loop_;
    const DaemonOptions options_;
    std::map<std::string, Entry, std::less<>> resources_;
    std::list<Waiter> waiters_;
    bool check_posted_ = false;
    bool shutting_down_ = false;
    bool leave_posted_ = false;
    std::unique_ptr<NbdServer> nbd_;
    std::unique_ptr<AttachServer> attach_;
    std::unique_ptr<base::ControlServer> control_;
    base::EventLoop::Handle limit_;
    std::function<void()> finished_;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace blockrep

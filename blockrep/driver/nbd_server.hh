// The NBD server: every device under its resource's name, on a unix socket and, if wanted, on TCP.
#pragma once

#include <set>

#include "base/io/event_loop.hh"
#include "base/io/file_descriptor.hh"
#include "base/io/peer_connection.hh"
#include "blockrep/driver/device_port.hh"
#include "blockrep/driver/nbd_session.hh"

namespace blockrep {

// Loop thread only. Destroying it hangs up on all clients.
class NbdServer {
  public:
    NbdServer(base::EventLoop& loop, const DeviceDirectory& devices) : loop_(loop), devices_(devices) {}
    ~NbdServer();

    base::Result<void> listen_on_path(const std::string& path);
    // There is no authentication in NBD without TLS: for networks where every machine may write.
    base::Result<void> listen_on_tcp(const base::PeerEndpoint& local);
    std::size_t clients() const { return sessions_.size(); }

  private:
    struct Listener {
        base::FileDescriptor socket;
        base::EventLoop::Handle watch;
    };
    void add_listener(base::FileDescriptor socket);
    void accept_from(int listener);

    base::EventLoop& loop_;
    const DeviceDirectory& devices_;
    std::set<std::shared_ptr<NbdSession>> sessions_;
    std::vector<Listener> listeners_;
};

}  // namespace blockrep

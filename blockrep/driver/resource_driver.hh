// One resource at work: its core, its disk, its link, its clients. Decodes, steps, performs; decides nothing.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/fence_gate.hh"
#include "base/io/event_loop.hh"
#include "blockrep/core/resource.hh"
#include "blockrep/driver/device_port.hh"
#include "blockrep/driver/disk.hh"
#include "blockrep/driver/peer_link.hh"

namespace blockrep {

// Loop thread only. Made by std::make_shared. Must be detached and disconnected before it is destroyed, or the process
// end with it.
class ResourceDriver : public DevicePort, public std::enable_shared_from_this<ResourceDriver> {
  public:
    using Done = DevicePort::Done;
    struct Options {
        Settings settings;
        PeerLink::Options link;
        std::string disk_path;
        base::FenceGate* gate = nullptr;  // may be null when settings.fencing is false
    };
    ResourceDriver(base::EventLoop& loop, Options options);
    ~ResourceDriver() override;

    const Resource& core() const { return core_; }
    const std::string& name() const { return options_.settings.name; }
    const std::string& link_problem() const { return link_.problem(); }
    bool has_disk() const { return disk_ != nullptr; }
    std::size_t clients() const { return clients_; }
    void describe(base::JsonWriter& json) const;
    // Called at the end of every turn in which something happened; must not call on_change() itself.
    void on_change(std::function<void()> changed) { changed_ = std::move(changed); }

    // Commands are answered once, from the loop.
    void attach(Done done);
    void command(CommandKind kind, Done done, bool discard_my_data = false);

    std::uint64_t size() const override { return core_.data_size(); }
    void read(const Range& range, const ReadBuffer& into, Done done) override;
    void write(const Range& range, const Payload& payload, bool stable, Done done) override;
    void flush(Done done) override;
    void client_opened() override;
    void client_closed() override;

  private:
    struct ClientCall {
        Done done;
        ReadBuffer into;  // of a read
        std::uint64_t length = 0;
    };
    struct Perform;

    PeerLink::Callbacks link_callbacks();
    void handle(Event event);
    void run_events();
    void perform(Action& action);
    void arm_timer();
    void receive(base::ByteView message, std::shared_ptr<base::AlignedBuffer> payload);
    void fenced(const base::NodeIncarnation& dead);
    void got_metadata(Ticket command, base::Result<base::Bytes> metadata);

    Ticket add_call(Done done, const ReadBuffer& into, std::uint64_t length);
    void read_piece(const Range& range, const ReadBuffer& into, Done done);
    void answer(Ticket client, base::Result<void> outcome);
    void answer_read(Ticket client, const base::Result<Payload>& data);
    void answer_command(Ticket command, base::Result<void> outcome);

    void read_disk(const ReadLocal& action);
    void write_disk(const WriteLocal& action);
    void write_metadata(const WriteMetadata& action);
    void flush_disk(const FlushLocal& action);
    void close_disk();
    void release_disk();
    base::Result<void> no_disk() const;

    base::EventLoop& loop_;
    const Options options_;
    Resource core_;
    PeerLink link_;
    std::unique_ptr<Disk> disk_;
    std::vector<std::unique_ptr<Disk>> closing_;  // until what is in flight is answered
    std::unique_ptr<Disk> opening_;

    std::deque<Event> events_;
    bool running_ = false;
    std::size_t in_client_call_ = 0;  // answers are to be given later
    Actions actions_;
    base::EventLoop::Handle timer_;
    std::optional<base::Instant> timer_at_;
    std::function<void()> changed_;

    Ticket next_client_ = 1;
    std::unordered_map<Ticket, ClientCall> calls_;
    Ticket next_command_ = 1;
    std::map<Ticket, Done> commands_;
    std::size_t clients_ = 0;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace blockrep

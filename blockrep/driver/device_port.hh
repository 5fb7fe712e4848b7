// What the servers for clients (NBD, attach) need of a replicated device. Loop thread only.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hh"
#include "blockrep/core/payload.hh"
#include "blockrep/format/range.hh"

namespace blockrep {

// One device that clients may use. Each request is answered once, on the loop thread, never from inside the call; it
// may wait for as long as the device is frozen. Ranges of any length are allowed, in units of
// base::sector_size, whatever sectors the disks have.
class DevicePort {
  public:
    using Done = std::function<void(base::Result<void>)>;
    virtual ~DevicePort() = default;

    virtual std::uint64_t size() const = 0;  // bytes
    virtual void read(const Range& range, const ReadBuffer& into, Done done) = 0;
    // A payload of zeros: the range reads as zeros afterwards.
    virtual void write(const Range& range, const Payload& payload, bool stable, Done done) = 0;
    virtual void flush(Done done) = 0;
    // A client came and went: it holds the device open in between. It went when its last request was answered.
    virtual void client_opened() = 0;
    virtual void client_closed() = 0;
};

class DeviceDirectory {
  public:
    virtual ~DeviceDirectory() = default;
    virtual std::vector<std::string> names() const = 0;
    // no_such_device: there is none of this name; anything else: not now (not Primary, no data). The empty name is the
    // only device, if there is only one.
    virtual base::Result<std::shared_ptr<DevicePort>> find(std::string_view name) const = 0;
};

}  // namespace blockrep

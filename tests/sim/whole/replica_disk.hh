// One backing disk: the data area with a volatile cache (tests/sim/clusterfs/device), and the metadata area.
#pragma once

#include <map>

#include "blockrep/core/action.hh"
#include "blockrep/format/metadata.hh"
#include "tests/sim/clusterfs/device.hh"

namespace sim_whole {

class ReplicaDisk {
  public:
    ReplicaDisk(std::uint64_t data_blocks, const base::Uuid& id);

    sim::Device& data() { return data_; }
    const sim::Device& data() const { return data_; }
    std::uint64_t size() const { return size_; }
    const base::Bytes& metadata() const { return metadata_; }

    blockrep::Payload read(const blockrep::Range& range) const;
    sim::Device::Request begin_write(const blockrep::WriteLocal& write);
    std::uint64_t begin_metadata(const blockrep::WriteMetadata& write);
    void end_metadata(std::uint64_t request);
    void fail_metadata(std::uint64_t request, sim::Random& random);
    void lose_power(sim::Random& random);

  private:
    static constexpr std::uint64_t sector = 512;
    void write_some(const blockrep::WriteMetadata& write, sim::Random& random);

    std::uint64_t size_;
    sim::Device data_;
    base::Bytes metadata_;
    std::map<std::uint64_t, blockrep::WriteMetadata> metadata_writes_;
    std::uint64_t next_ = 1;
};

}  // namespace sim_whole

// Node numbers from Corosync, our own life from cfs-fenced.
#pragma once

#include "blockrep/driver/node_names.hh"
#include "fencing/driver/fence_client.hh"

class FencedNodeNames : public blockrep::NodeNames {
  public:
    explicit FencedNodeNames(const fencing::FenceClient& fence) : fence_(fence) {}
    base::Result<Pair> resolve(const blockrep::config::ResourceConfig& resource,
                               const blockrep::config::HostConfig& self,
                               const blockrep::config::HostConfig& peer) override;

  private:
    const fencing::FenceClient& fence_;
};

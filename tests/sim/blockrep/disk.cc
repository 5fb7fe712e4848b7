#include "tests/sim/blockrep/disk.hh"

#include <cstring>

namespace sim {
namespace {

constexpr std::uint64_t sector = base::sector_size;

std::vector<Stamp> stamps_of(const blockrep::WriteLocal& write) {
    std::vector<Stamp> stamps(write.range.length / sector, 0);
    for (std::size_t i = 0; i < stamps.size() && !write.payload.is_zeros(); ++i) {
        std::memcpy(&stamps[i], write.payload.data + i * sector, sizeof(Stamp));
    }
    return stamps;
}

}  // namespace

Disk::Disk(std::uint64_t size, const base::Uuid& device) : size_(size), geometry_(*blockrep::geometry_of(size)) {
    current_.resize(geometry_.data_size / sector);
    metadata_ = blockrep::format_metadata(geometry_, size, device);
}

std::uint64_t Disk::begin_write(const blockrep::WriteLocal& write) {
    begun_[next_] = {write.range.offset / sector, stamps_of(write), write.stable, 0, {}};
    return next_++;
}

std::uint64_t Disk::begin_metadata(const blockrep::WriteMetadata& write) {
    begun_[next_] = {0, {}, true, write.offset, write.bytes};
    return next_++;
}

void Disk::put(std::uint64_t at, Stamp stamp, bool stable) {
    if (stable) {
        stable_.erase(at);
        std::erase_if(cached_, [&](const Cached& entry) { return entry.sector == at; });
    } else {
        stable_.emplace(at, current_[at]);
        cached_.push_back({finished_, at, stamp});
    }
    current_[at] = stamp;
}

void Disk::apply(const Request& request, Random* tear) {
    for (std::size_t i = 0; i < request.stamps.size(); ++i) {
        if (tear == nullptr || tear->percent(50)) put(request.first_sector + i, request.stamps[i], request.stable);
    }
    for (std::size_t at = 0; at < request.metadata.size(); at += sector) {
        if (tear != nullptr && tear->percent(50)) continue;
        std::memcpy(metadata_.data() + request.metadata_offset + at, request.metadata.data() + at, sector);
    }
}

void Disk::finish(std::uint64_t number) {
    const auto found = begun_.find(number);
    if (found == begun_.end()) return;
    ++finished_;
    apply(found->second, nullptr);
    begun_.erase(found);
}

void Disk::fail(std::uint64_t number, Random& random) {
    const auto found = begun_.find(number);
    if (found == begun_.end()) return;
    ++finished_;
    apply(found->second, &random);
    begun_.erase(found);
}

void Disk::flush_up_to(std::uint64_t finished) {
    std::erase_if(cached_, [&](const Cached& entry) {
        if (entry.number > finished) return false;
        const auto old = stable_.find(entry.sector);
        if (old != stable_.end()) old->second = entry.stamp;
        return true;
    });
    std::erase_if(stable_, [&](const auto& entry) { return entry.second == current_[entry.first]; });
}

void Disk::lose_process(Random& random) {
    for (const auto& [number, request] : begun_) {
        ++finished_;
        apply(request, &random);
    }
    begun_.clear();
}

void Disk::lose_power(Random& random) {
    lose_process(random);
    lose_cache(random);
}

void Disk::lose_cache(Random& random) {
    std::map<std::uint64_t, std::vector<Stamp>> choices;
    for (const auto& [at, stamp] : stable_) choices[at].push_back(stamp);
    for (const auto& entry : cached_) choices[entry.sector].push_back(entry.stamp);
    for (const auto& [at, stamps] : choices) current_[at] = random.pick(stamps);
    stable_.clear();
    cached_.clear();
}

}  // namespace sim

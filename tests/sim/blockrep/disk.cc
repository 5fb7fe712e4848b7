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
        unflushed_.erase(at);
    } else {
        if (current_[at] == stamp && !unflushed_.contains(at)) return;  // as it is, and stable
        const auto [place, is_new] = unflushed_.try_emplace(at);
        if (is_new) place->second.stable = current_[at];
        place->second.since.emplace_back(finished_, stamp);
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
    for (auto entry = unflushed_.begin(); entry != unflushed_.end();) {
        auto& [stable, since] = entry->second;
        auto place = since.begin();
        for (; place != since.end() && place->first <= finished; ++place) stable = place->second;
        since.erase(since.begin(), place);
        entry = since.empty() ? unflushed_.erase(entry) : std::next(entry);
    }
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
    for (const auto& [at, versions] : unflushed_) {
        const auto luck = random.below(versions.since.size() + 1);
        current_[at] = luck == 0 ? versions.stable : versions.since[luck - 1].second;
    }
    unflushed_.clear();
}

}  // namespace sim

#include "clusterfs/driver/appended_data.hh"

#include <utility>

namespace clusterfs {

void AppendedData::write_out(InodeNumber inode, Done done) {
    tails_.write_out(inode, [this, inode, done = std::move(done)](base::Result<void> outcome) mutable {
        if (!outcome) return done(std::move(outcome));
        blocks_.wait(inode, std::move(done));
    });
}

void AppendedData::write_out_all(Done done) {
    tails_.write_out_all([this, done = std::move(done)](base::Result<void> outcome) mutable {
        if (!outcome) return done(std::move(outcome));
        blocks_.wait_for_all(std::move(done));
    });
}

void AppendedData::clear(InodeNumber inode, Done done) {
    tails_.clear(inode, [this, inode, done = std::move(done)](base::Result<void> outcome) mutable {
        if (!outcome) return done(std::move(outcome));
        blocks_.wait(inode, std::move(done));
    });
}

}  // namespace clusterfs

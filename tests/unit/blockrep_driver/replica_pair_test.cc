// Two whole replicas on one loop: real disks, real TCP on loopback.
#include <netinet/in.h>
#include <sys/socket.h>

#include <functional>

#include "base/aligned_buffer.hh"
#include "base/io/random.hh"
#include "blockrep/driver/resource_driver.hh"
#include "blockrep/format/error.hh"
#include "blockrep/format/metadata.hh"
#include "loop_fixture.hh"
#include "temporary_file.hh"

namespace blockrep {
namespace {

constexpr std::uint64_t disk_size = 16 << 20;

std::uint16_t free_port() {
    base::FileDescriptor probe(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(probe.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    return ntohs(address.sin_port);
}

class ReplicaPairTest : public LoopTest {
  protected:
    ReplicaPairTest() {
        for (int i = 0; i < 2; ++i) {
            const auto geometry = *geometry_of(disk_size);
            const auto area = format_metadata(geometry, disk_size, base::random_uuid());
            EXPECT_EQ(::pwrite(files_[i].descriptor(), area.data(), area.size(),
                               static_cast<off_t>(geometry.metadata_offset)),
                      static_cast<ssize_t>(area.size()));
            ::fsync(files_[i].descriptor());
            replicas_[i] = std::make_shared<ResourceDriver>(loop_, options(i));
        }
    }
    ResourceDriver::Options options(int i) {
        const auto port_of = [this](int which) {
            return base::PeerEndpoint{"127.0.0.1", ports_[static_cast<std::size_t>(which)]};
        };
        ResourceDriver::Options made;
        made.disk_path = files_[i].path();
        made.settings.name = "r0";
        made.settings.self = {{static_cast<std::uint32_t>(i + 1)}, base::random_uuid()};
        made.settings.peer = {static_cast<std::uint32_t>(2 - i)};
        made.settings.allow_two_primaries = true;
        made.settings.fencing = false;
        made.settings.seed = 42 + static_cast<std::uint64_t>(i);
        made.link.local = port_of(i);
        made.link.remote = port_of(1 - i);
        made.link.expected = made.settings.peer;
        made.link.peer.service = "blockrep r0";
        made.link.peer.secret = "secret";
        made.link.peer.self = made.settings.self.node;
        return made;
    }
    // Looks every few milliseconds.
    void when(std::function<bool()> condition, std::function<void()> then) {
        poll_ = loop_.after(base::Duration::milliseconds(5),
                            [this, condition = std::move(condition), then = std::move(then)] {
                                if (condition()) return then();
                                when(condition, then);
                            });
    }
    void up_and_synced(std::function<void()> then) {
        for (auto& replica : replicas_) {
            replica->attach([&replica](base::Result<void> outcome) {
                ASSERT_TRUE(outcome) << outcome.error().message();
                replica->command(CommandKind::connect, [](base::Result<void>) {});
            });
        }
        when([this] { return replicas_[0]->core().connection() == ConnectionState::Connected; },
             [this, then] {
                 replicas_[0]->command(CommandKind::force_promote, [](base::Result<void> outcome) {
                     EXPECT_TRUE(outcome) << outcome.error().message();
                 });
                 when(
                     [this] {
                         return replicas_[0]->core().replication() == ReplicationState::Established &&
                                replicas_[0]->core().disk() == DiskState::UpToDate &&
                                replicas_[1]->core().disk() == DiskState::UpToDate;
                     },
                     then);
             });
    }
    std::string disk_bytes(int i, std::uint64_t offset, std::size_t length) {
        std::string bytes(length, '?');
        EXPECT_EQ(::pread(files_[i].descriptor(), bytes.data(), length, static_cast<off_t>(offset)),
                  static_cast<ssize_t>(length));
        return bytes;
    }

    TemporaryFile files_[2] = {TemporaryFile(disk_size), TemporaryFile(disk_size)};
    std::array<std::uint16_t, 2> ports_ = {free_port(), free_port()};
    std::shared_ptr<ResourceDriver> replicas_[2];
    base::EventLoop::Handle poll_;
};

TEST_F(ReplicaPairTest, AWriteIsOnBothDisksWhenItIsAnswered) {
    const auto memory = std::make_shared<base::AlignedBuffer>(3 << 20);
    std::ranges::fill(memory->bytes(), std::byte{'W'});
    up_and_synced([&] {
        const Payload payload{memory, memory->bytes().data(), memory->size()};
        replicas_[0]->write({4096, memory->size()}, payload, true, [&](base::Result<void> outcome) {
            EXPECT_TRUE(outcome) << outcome.error().message();
            for (int i = 0; i < 2; ++i) {
                EXPECT_EQ(disk_bytes(i, 4096, memory->size()), std::string(memory->size(), 'W'));
            }
            done();
        });
    });
    run_until_done();
}

TEST_F(ReplicaPairTest, TheOtherSideReadsItAtOnce) {
    const auto out = std::make_shared<base::AlignedBuffer>(4096);
    const auto in = std::make_shared<base::AlignedBuffer>(4096);
    std::ranges::fill(out->bytes(), std::byte{'R'});
    up_and_synced([&] {
        replicas_[1]->command(CommandKind::promote, [&](base::Result<void> promoted) {
            ASSERT_TRUE(promoted) << promoted.error().message();
            replicas_[0]->write({0, 4096}, {out, out->bytes().data(), 4096}, false, [&](base::Result<void> written) {
                EXPECT_TRUE(written);
                replicas_[1]->read({0, 4096}, {in, in->bytes().data()}, [&](base::Result<void> read) {
                    EXPECT_TRUE(read);
                    EXPECT_TRUE(std::ranges::equal(in->bytes(), out->bytes()));
                    replicas_[1]->flush([&](base::Result<void> flushed) {
                        EXPECT_TRUE(flushed);
                        done();
                    });
                });
            });
        });
    });
    run_until_done();
}

TEST_F(ReplicaPairTest, ASecondaryServesNobody) {
    const auto in = std::make_shared<base::AlignedBuffer>(4096);
    bool inside = true;
    up_and_synced([&] {
        replicas_[1]->read({0, 4096}, {in, in->bytes().data()}, [&](base::Result<void> outcome) {
            EXPECT_FALSE(inside);
            ASSERT_FALSE(outcome);
            EXPECT_EQ(outcome.error().code, make_error_code(Errc::not_primary));
            done();
        });
        inside = false;
    });
    run_until_done();
}

TEST_F(ReplicaPairTest, ADiskWithoutMetadataIsRefusedAndReleased) {
    std::string zeros(4 << 20, '\0');
    EXPECT_EQ(
        ::pwrite(files_[0].descriptor(), zeros.data(), zeros.size(), static_cast<off_t>(disk_size - zeros.size())),
        static_cast<ssize_t>(zeros.size()));
    ::fsync(files_[0].descriptor());
    replicas_[0]->attach([&](base::Result<void> outcome) {
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error().code, make_error_code(Errc::no_metadata)) << outcome.error().message();
        EXPECT_FALSE(replicas_[0]->has_disk());
        when([&] { return Disk::open(loop_, files_[0].path()).has_value(); }, [&] { done(); });
    });
    run_until_done();
}

}  // namespace
}  // namespace blockrep

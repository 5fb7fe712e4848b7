// The connection to the peer: what is said of it while there is none.
#include "blockrep/driver/peer_link.hh"

#include <unistd.h>

#include <algorithm>

#include "loop_fixture.hh"

namespace blockrep {
namespace {

class PeerLinkTest : public LoopTest {
  protected:
    std::unique_ptr<PeerLink> link(std::uint32_t self, const std::string& secret) {
        const auto first = static_cast<std::uint16_t>(20000 + ::getpid() % 20000);
        const auto end_of = [&](std::uint32_t node) {
            return base::PeerEndpoint{"127.0.0.1", static_cast<std::uint16_t>(first + node)};
        };
        PeerLink::Options options{end_of(self),
                                  end_of(3 - self),
                                  {.service = "blockrep r0", .secret = secret, .self = {self}},
                                  {3 - self},
                                  "r0.res:1"};
        return std::make_unique<PeerLink>(loop_, options, PeerLink::Callbacks{[] {}, [](auto&) {}, [](auto, auto) {}});
    }
};

TEST_F(PeerLinkTest, BothSidesNameTheSecretThatIsWrong) {
    const auto listener = link(1, "secret");
    const auto caller = link(2, "another");
    listener->open();
    caller->open();
    ::testing::internal::CaptureStderr();
    const auto names_it = [](const auto& link) {
        return link->problem().find("wrong shared secret") != std::string::npos;
    };
    run_until([&] { return names_it(listener) && names_it(caller); });
    const auto end = loop_.after(base::Duration::milliseconds(1000), [&] { done(); });  // it is tried again
    run_until_done();
    const auto logged = ::testing::internal::GetCapturedStderr();
    for (const auto* side : {listener.get(), caller.get()}) {
        EXPECT_NE(side->problem().find("wrong shared secret"), std::string::npos) << side->problem();
        EXPECT_NE(side->problem().find("r0.res:1"), std::string::npos) << side->problem();
    }
    // One line of each side, however often it was tried; the caller may have been there first.
    EXPECT_LE(std::count(logged.begin(), logged.end(), '\n'), 3) << logged;
}

}  // namespace
}  // namespace blockrep

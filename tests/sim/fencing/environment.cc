#include "tests/sim/fencing/environment.hh"

#include <algorithm>

namespace sim_fencing {

using base::Duration;

Environment::Environment(World& world)
    : world_(world), random_(world.fork()), islands_(static_cast<std::size_t>(world.size()), 0) {}

void Environment::start() {
    for (int i = 0; i < world_.size(); ++i) world_.machine(i).power_on();
    watch();
    world_.scheduler().after(Duration::seconds(8), [this] { trouble(); });
}

void Environment::trouble() {
    if (calm_) return;
    switch (random_.below(13)) {
        case 0:
        case 1:
            cut_power();
            break;
        case 2:
        case 3:
        case 4:
            split();
            break;
        case 5:
            crash_a_daemon();
            break;
        case 6:
        case 7:
            break_a_device();
            break;
        case 8:
        case 9:
            somebody_asks();
            break;
        case 10:
            operator_acts();
            break;
        case 11:
            world_.machine(any()).ask_for_absence();
            break;
        case 12:
            pause_a_daemon();
            break;
        default:
            break;
    }
    const auto pause = random_.one_in(3) ? Duration::milliseconds(300) : Duration::seconds(6);
    world_.scheduler().after(random_.between(Duration::milliseconds(1), pause), [this] { trouble(); });
}

void Environment::cut_power() {
    const int index = any();
    if (world_.machine(index).is_on() && world_.one_lives_without(index)) world_.machine(index).power_off();
}

void Environment::connect(std::vector<int> islands) {
    islands_ = std::move(islands);
    std::string text = "network";
    for (const int island : islands_) text += " " + std::to_string(island);
    world_.note({}, text);
    world_.network_changed();
    world_.corosync().connect(islands_);
}

void Environment::split() {
    if (world_.size() == 2 && !world_.corosync().is_whole()) return;
    std::vector<int> islands(static_cast<std::size_t>(world_.size()), 0);
    if (world_.size() == 2) {
        islands = {0, 1};
    } else {
        for (auto& island : islands) island = static_cast<int>(random_.below(3));
    }
    connect(std::move(islands));
    const auto longest = random_.one_in(2) ? Duration::milliseconds(4000) : Duration::seconds(25);
    world_.scheduler().after(random_.between(Duration::milliseconds(100), longest), [this, number = ++splits_] {
        if (number == splits_) heal();
    });
}

void Environment::heal() { connect(std::vector<int>(islands_.size(), 0)); }

void Environment::crash_a_daemon() {
    if (world_.size() == 2 && !world_.corosync().is_whole()) return;
    world_.machine(any()).crash_daemon();
}

void Environment::break_a_device() {
    const auto name = random_.pick(world_.device_names());
    world_.device(name).set_mode(random_.one_in(3) ? DeviceMode::good
                                                   : static_cast<DeviceMode>(random_.below(device_modes)));
}

// Of two that shoot at each other the delay decides who lives. A pause that lasts as long would let both die.
void Environment::pause_a_daemon() {
    if (world_.size() == 2) return;
    world_.machine(any()).pause_daemon(random_.between(Duration::milliseconds(1), Duration::seconds(8)));
}

// Over a link that only the programs have.
void Environment::somebody_asks() {
    const int asker = any();
    const int victim = any();
    if (asker == victim || !world_.machine(victim).is_on()) return;
    auto life = world_.machine(victim).life();
    if (random_.one_in(8)) life.incarnation = {};
    world_.machine(asker).ask("app" + std::to_string(random_.below(2)), life);
    if (!random_.one_in(2)) return;
    world_.scheduler().after(random_.between(Duration{}, Duration::seconds(3)),
                             [this, asker, life] { world_.machine(asker).withdraw("app0", life); });
}

void Environment::operator_acts() {
    const int helper = any();
    const int target = any();
    if (helper == target) return;
    // Looks at the machine first.
    if (!world_.machine(target).is_on()) return world_.machine(helper).confirm(world_.machine(target).node());
    const bool safe = world_.size() > 2 && world_.powered() == world_.size() && world_.corosync().is_whole();
    if (safe) world_.machine(helper).order_off(world_.machine(target).node());
}

// What programs notice themselves, and the person who switches machines on again.
void Environment::watch() {
    for (int i = 0; i < world_.size(); ++i) {
        look_after(i);
        for (int j = 0; j < world_.size(); ++j) {
            if (i == j || !world_.machine(i).is_on()) {
                connected_.erase({i, j});
                continue;
            }
            const auto& peer = world_.machine(j);
            const auto known = peers_.find({i, j});
            const bool reached = world_.corosync().reach(i, j);
            const bool same = known != peers_.end() && known->second == peer.life();
            if (connected_.contains({i, j}) && (!reached || !same)) lost(i, j);
            if (reached && !connected_.contains({i, j})) found(i, j);
        }
    }
    world_.scheduler().after(Duration::milliseconds(50), [this] { watch(); });
}

void Environment::look_after(int index) {
    auto& machine = world_.machine(index);
    if (machine.is_on()) return;
    auto& repaired = repaired_[index];
    if (repaired == machine.boots()) return;
    repaired = machine.boots();
    world_.scheduler().after(random_.between(Duration::seconds(3), Duration::seconds(30)),
                             [&machine] { machine.power_on(); });
}

void Environment::lost(int observer, int peer) {
    connected_.erase({observer, peer});
    if (random_.percent(10)) return;  // nothing was shared at that time
    const auto wait = random_.between(Duration{}, Duration::seconds(random_.one_in(4) ? 8 : 2));
    const auto life = peers_.at({observer, peer});
    world_.scheduler().after(wait, [this, observer, life, boot = world_.machine(observer).boots()] {
        auto& machine = world_.machine(observer);
        if (machine.boots() != boot) return;
        const auto index = static_cast<int>(life.node.value) - 1;
        if (connected_.contains({observer, index}) && peers_.at({observer, index}) == life) return;
        machine.ask("link", life);
    });
}

void Environment::found(int observer, int peer) {
    connected_.insert({observer, peer});
    const auto life = world_.machine(peer).life();
    peers_[{observer, peer}] = life;
    if (random_.percent(20)) return;
    world_.scheduler().after(random_.between(Duration{}, Duration::milliseconds(500)),
                             [this, observer, life] { world_.machine(observer).withdraw("link", life); });
}

void Environment::calm_down() {
    calm_ = true;
    ++splits_;
    world_.note({}, "calm");
    heal();
    for (const auto& name : world_.device_names()) world_.device(name).set_mode(DeviceMode::good);
}

}  // namespace sim_fencing

// Saturated Wi-Fi in ns-3: stations that always have a frame to send to one receiver.
//
// An ad hoc network, so that there are no beacons and no association. All stations receive one another at
// the same power, so that there is no capture, and frames are lost only by collisions: see CollisionsAlone.
//
// Prints CSV: batch,n_frames,n_dropped (frames received, and frames dropped by senders, in each batch).

#include "ns3/boolean.h"
#include "ns3/command-line.h"
#include "ns3/config.h"
#include "ns3/constant-rate-wifi-manager.h"
#include "ns3/double.h"
#include "ns3/error-rate-model.h"
#include "ns3/mobility-helper.h"
#include "ns3/node-container.h"
#include "ns3/propagation-delay-model.h"
#include "ns3/propagation-loss-model.h"
#include "ns3/qos-txop.h"
#include "ns3/rng-seed-manager.h"
#include "ns3/simulator.h"
#include "ns3/string.h"
#include "ns3/uinteger.h"
#include "ns3/wifi-mac-queue.h"
#include "ns3/wifi-mac.h"
#include "ns3/wifi-net-device.h"
#include "ns3/yans-wifi-channel.h"
#include "ns3/yans-wifi-helper.h"

#include <iostream>
#include <vector>

using namespace ns3;

namespace
{

// Headers are always decoded, and data are received only without interference. Every station that receives a
// collision therefore detects it, and waits for EIFS (802.11-2020 clause 10.3.2.3.7).
class CollisionsAlone : public ErrorRateModel
{
  public:
    static TypeId GetTypeId()
    {
        static TypeId tid = TypeId("CollisionsAlone")
                                .SetParent<ErrorRateModel>()
                                .AddConstructor<CollisionsAlone>();
        return tid;
    }

  private:
    double DoGetChunkSuccessRate(WifiMode, const WifiTxVector&, double snr, uint64_t, uint8_t,
                                 WifiPpduField field, uint16_t) const override
    {
        return field != WIFI_PPDU_FIELD_DATA || snr > 100.0 ? 1.0 : 0.0;
    }
};

NS_OBJECT_ENSURE_REGISTERED(CollisionsAlone);

constexpr uint16_t PROTOCOL = 0x88b5; // for local experiments, IEEE 802
const Time LOOK = MicroSeconds(250);

struct Counts
{
    uint64_t n_frames = 0;
    uint64_t n_dropped = 0;
};

Counts counts;

void Refill(Ptr<NetDevice> device, Ptr<WifiMacQueue> queue, Address receiver, uint32_t bytes, uint32_t depth)
{
    for (auto n = queue->GetNPackets(); n < depth; ++n)
    {
        device->Send(Create<Packet>(bytes), receiver, PROTOCOL);
    }
    Simulator::Schedule(LOOK, &Refill, device, queue, receiver, bytes, depth);
}

bool Receive(Ptr<NetDevice>, Ptr<const Packet>, uint16_t, const Address&)
{
    ++counts.n_frames;
    return true;
}

void Drop(WifiMacDropReason, Ptr<const WifiMpdu>)
{
    ++counts.n_dropped;
}

void Report(uint32_t batch, Time length)
{
    if (batch > 0) // earlier frames belong to the warm-up
    {
        std::cout << batch << ',' << counts.n_frames << ',' << counts.n_dropped << '\n';
    }
    counts = Counts();
    Simulator::Schedule(length, &Report, batch + 1, length);
}

} // namespace

int main(int argc, char* argv[])
{
    std::string standard = "ac";
    std::string reception = "collisions";
    uint32_t mcs = 8, width = 80, guard = 400, stations = 5, bytes = 1528, ampdu = 0, depth = 400;
    uint32_t batches = 10, run = 1;
    uint32_t attempts = 7;
    double warmup = 0.5, batch = 1.0;
    bool bar = false;

    CommandLine cmd(__FILE__);
    cmd.AddValue("standard", "n, ac or ax", standard);
    cmd.AddValue("mcs", "index for one stream", mcs);
    cmd.AddValue("width", "of the channel [MHz]", width);
    cmd.AddValue("guard", "interval [ns]", guard);
    cmd.AddValue("stations", "that send", stations);
    cmd.AddValue("bytes", "of a packet, IP and UDP headers included", bytes);
    cmd.AddValue("ampdu", "longest A-MPDU [bytes]; 0: no aggregation", ampdu);
    cmd.AddValue("attempts", "after which a frame, or an aggregate, is given up", attempts);
    cmd.AddValue("bar", "whether a missing block acknowledgement is asked for (BlockAckReq)", bar);
    cmd.AddValue("reception", "collisions: see above; default: ns-3's own models", reception);
    cmd.AddValue("warmup", "[s]", warmup);
    cmd.AddValue("batch", "[s]", batch);
    cmd.AddValue("batches", "number", batches);
    cmd.AddValue("run", "number of the generator's run", run);
    cmd.Parse(argc, argv);

    RngSeedManager::SetRun(run);
    Config::SetDefault("ns3::WifiMacQueue::MaxSize", StringValue(std::to_string(2 * depth) + "p"));
    Config::SetDefault("ns3::WifiMacQueue::MaxDelay", TimeValue(Seconds(1000)));
    Config::SetDefault("ns3::WifiRemoteStationManager::RtsCtsThreshold", UintegerValue(10000000)); // never
    Config::SetDefault("ns3::WifiRemoteStationManager::MaxSsrc", UintegerValue(attempts));

    NodeContainer nodes(stations + 1);
    MobilityHelper mobility;
    mobility.Install(nodes);

    auto channel = CreateObject<YansWifiChannel>();
    auto loss = CreateObject<FixedRssLossModel>();
    loss->SetRss(-45.0);
    channel->SetPropagationLossModel(loss);
    channel->SetPropagationDelayModel(CreateObject<ConstantSpeedPropagationDelayModel>());

    YansWifiPhyHelper phy;
    phy.SetChannel(channel);
    phy.Set("ChannelSettings", StringValue("{0, " + std::to_string(width) + ", BAND_5GHZ, 0}"));
    if (reception == "collisions")
    {
        phy.DisablePreambleDetectionModel();
        phy.SetErrorRateModel("CollisionsAlone");
    }

    WifiHelper wifi;
    const bool is_he = standard == "ax";
    wifi.SetStandard(is_he ? WIFI_STANDARD_80211ax
                           : (standard == "ac" ? WIFI_STANDARD_80211ac : WIFI_STANDARD_80211n));
    const std::string mode = (is_he ? "HeMcs" : (standard == "ac" ? "VhtMcs" : "HtMcs")) + std::to_string(mcs);
    wifi.SetRemoteStationManager("ns3::ConstantRateWifiManager", "DataMode", StringValue(mode),
                                 "ControlMode", StringValue("OfdmRate24Mbps"));
    WifiMacHelper mac;
    mac.SetType("ns3::AdhocWifiMac", "QosSupported", BooleanValue(true),
                "BE_MaxAmpduSize", UintegerValue(ampdu), "BE_MaxAmsduSize", UintegerValue(0));
    NetDeviceContainer devices = wifi.Install(phy, mac, nodes);
    Config::Set("/NodeList/*/DeviceList/*/$ns3::WifiNetDevice/HtConfiguration/ShortGuardIntervalSupported",
                BooleanValue(!is_he && guard == 400));
    if (is_he)
    {
        Config::Set("/NodeList/*/DeviceList/*/$ns3::WifiNetDevice/HeConfiguration/GuardInterval",
                    TimeValue(NanoSeconds(guard)));
    }
    wifi.AssignStreams(devices, 100);

    for (uint32_t i = 0; i < devices.GetN(); ++i)
    {
        auto device = DynamicCast<WifiNetDevice>(devices.Get(i));
        for (const auto* rate : {"OfdmRate12Mbps", "OfdmRate24Mbps"}) // mandatory rates are basic ones
        {
            device->GetRemoteStationManager()->AddBasicMode(WifiMode(rate));
        }
        auto edca = device->GetMac()->GetQosTxop(AC_BE);
        edca->SetAttribute("UseExplicitBarAfterMissedBlockAck", BooleanValue(bar));
        if (i == 0)
        {
            device->SetReceiveCallback(MakeCallback(&Receive));
            continue;
        }
        device->GetMac()->TraceConnectWithoutContext("DroppedMpdu", MakeCallback(&Drop));
        Simulator::Schedule(MicroSeconds(137 * i), &Refill, devices.Get(i), edca->GetWifiMacQueue(),
                            devices.Get(0)->GetAddress(), bytes, depth);
    }

    std::cout << "batch,n_frames,n_dropped\n";
    Simulator::Schedule(Seconds(warmup), &Report, 0, Seconds(batch));
    Simulator::Stop(Seconds(warmup + batch * batches) + NanoSeconds(1));
    Simulator::Run();
    Simulator::Destroy();
    return 0;
}

// Nodes in tandem in ns-3, joined by point-to-point links with FIFO queues; packets are forwarded when their last
// bit has arrived.
//
// Reads a file of lines "at_ns,first,last,bytes", in order of time: a packet of `bytes` bytes (including the 2 bytes
// of PPP) that departs from node `first` at `at_ns`, for node `last`.
// Prints CSV: packet,delay_s (numbered as in the file).

#include "ns3/command-line.h"
#include "ns3/data-rate.h"
#include "ns3/drop-tail-queue.h"
#include "ns3/node.h"
#include "ns3/packet.h"
#include "ns3/point-to-point-channel.h"
#include "ns3/point-to-point-net-device.h"
#include "ns3/pointer.h"
#include "ns3/simulator.h"
#include "ns3/string.h"

#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>
#include <unordered_map>
#include <vector>

using namespace ns3;

namespace
{

constexpr uint16_t IPV4 = 0x0800; // a protocol that ns-3's PPP supports
constexpr uint32_t PPP_BYTES = 2;

struct Journey
{
    int64_t at_ns;
    uint32_t first, last, bytes;
    double delay_s = -1.0;
};

std::vector<Journey> journeys;
std::unordered_map<uint64_t, size_t> by_uid;
std::vector<Ptr<PointToPointNetDevice>> out; // outgoing device of each node but the last

void Forward(uint32_t node, Ptr<Packet> packet)
{
    NS_ABORT_MSG_UNLESS(out[node]->Send(packet, out[node]->GetBroadcast(), IPV4), "a queue was full");
}

bool Receive(uint32_t node, Ptr<NetDevice>, Ptr<const Packet> packet, uint16_t, const Address&)
{
    auto& journey = journeys[by_uid.at(packet->GetUid())];
    if (journey.last == node)
    {
        journey.delay_s = (Simulator::Now() - NanoSeconds(journey.at_ns)).GetSeconds();
    }
    else
    {
        Forward(node, packet->Copy());
    }
    return true;
}

void SetOut(size_t number)
{
    auto packet = Create<Packet>(journeys[number].bytes - PPP_BYTES);
    by_uid[packet->GetUid()] = number;
    Forward(journeys[number].first, packet);
    if (number + 1 < journeys.size())
    {
        Simulator::Schedule(NanoSeconds(journeys[number + 1].at_ns) - Simulator::Now(), &SetOut, number + 1);
    }
}

std::vector<std::string> Parts(const std::string& text)
{
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, ',');)
    {
        parts.push_back(part);
    }
    return parts;
}

} // namespace

int main(int argc, char* argv[])
{
    std::string rates, delays, arrivals;
    CommandLine cmd(__FILE__);
    cmd.AddValue("rates", "of the links [bit/s], with commas between them", rates);
    cmd.AddValue("delays", "of the links [ns], likewise", delays);
    cmd.AddValue("arrivals", "the file to read", arrivals);
    cmd.Parse(argc, argv);

    const auto rate_of = Parts(rates), delay_of = Parts(delays);
    NS_ABORT_MSG_UNLESS(rate_of.size() == delay_of.size(), "give a delay for every rate");
    std::ifstream file(arrivals);
    for (std::string line; std::getline(file, line);)
    {
        const auto parts = Parts(line);
        journeys.push_back({std::stoll(parts.at(0)), uint32_t(std::stoul(parts.at(1))),
                            uint32_t(std::stoul(parts.at(2))), uint32_t(std::stoul(parts.at(3)))});
    }
    NS_ABORT_MSG_UNLESS(!journeys.empty(), "no arrivals");

    std::vector<Ptr<Node>> nodes;
    for (size_t i = 0; i <= rate_of.size(); ++i)
    {
        nodes.push_back(CreateObject<Node>());
    }
    for (size_t i = 0; i < rate_of.size(); ++i)
    {
        auto channel = CreateObject<PointToPointChannel>();
        channel->SetAttribute("Delay", TimeValue(NanoSeconds(std::stoll(delay_of[i]))));
        for (auto end : {i, i + 1})
        {
            auto device = CreateObject<PointToPointNetDevice>();
            auto queue = CreateObject<DropTailQueue<Packet>>();
            queue->SetAttribute("MaxSize", StringValue("10000000p"));
            device->SetQueue(queue);
            device->SetDataRate(DataRate(std::stoull(rate_of[i])));
            device->SetMtu(65535);
            device->SetAddress(Mac48Address::Allocate());
            device->Attach(channel);
            nodes[end]->AddDevice(device);
            device->SetReceiveCallback(MakeCallback(&Receive).Bind(uint32_t(end)));
            if (end == i)
            {
                out.push_back(device);
            }
        }
    }

    Simulator::Schedule(NanoSeconds(journeys[0].at_ns), &SetOut, 0);
    Simulator::Run();
    Simulator::Destroy();
    std::cout << "packet,delay_s\n";
    for (size_t i = 0; i < journeys.size(); ++i)
    {
        std::printf("%zu,%.12g\n", i, journeys[i].delay_s);
    }
    return 0;
}

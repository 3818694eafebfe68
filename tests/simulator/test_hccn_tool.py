# SPDX-License-Identifier: Apache-2.0
"""hccn_tool in the real tool's words."""

from __future__ import annotations

import re

import pytest

PING_LOST = ["recv time out seq=0", "recv time out seq=1", "recv time out seq=2"]


def test_an_address_is_two_lines_without_blanks(say):
    assert say("hccn_tool -i 3 -ip -g") == "ipaddr:10.20.1.13\nnetmask:255.255.255.0\n"


def test_an_ipv6_address_is_written_in_full(say):
    text = say("hccn_tool -i 3 -ip -inet6 -g", simulation={"ipv6": True})
    assert text == "ipv6_address:fd00:0020:0000:0001:0000:0000:0000:0013\nprefix_length:64\n"


def test_no_address_is_said_on_both_streams(cluster):
    result = cluster("no-device-ip@node-b/3")["node-b"].execute(("hccn_tool", "-i", "3", "-ip", "-g"))
    assert result.exit_code == 1
    assert result.stdout == b"Command execute failed!\n"
    assert result.stderr == b"Get ipconf failed, because no ip was preset there!\n"


def test_a_ping_that_is_answered(say):
    rows = say("hccn_tool -i 0 -ping -g address 10.20.0.12").splitlines()
    assert rows[0] == "device 0 PING 10.20.0.12"
    assert [bool(re.fullmatch(r"recv seq=\d,time=0\.\d{6}ms", r)) for r in rows[1:4]] == [True] * 3
    assert rows[4:] == ["3 packets transmitted, 3 received, 0.00% packet loss"]


def test_a_ping_over_ipv6_says_so(say):
    text = say("hccn_tool -i 0 -ping -inet6 -g ipv6_address fd00:20:0:0::12 pkt 2", simulation={"ipv6": True})
    assert text.startswith("device 0 PING6 fd00:20:0:0::12\n")
    assert text.endswith("2 packets transmitted, 2 received, 0.00% packet loss\n")


@pytest.mark.parametrize(
    ("fault", "source", "target", "lost"),
    [
        ("device-unreachable@node-b/3", ("node-a", 0), ("node-b", 3), 3),
        ("device-unreachable@node-b/3", ("node-b", 3), ("node-a", 0), 3),
        ("device-unreachable@node-b/3", ("node-b", 2), ("node-a", 0), 0),
        ("one-way-loss@node-a/0>node-b/3", ("node-a", 0), ("node-b", 3), 3),
        ("one-way-loss@node-a/0>node-b/3", ("node-b", 3), ("node-a", 0), 0),
        ("partial-loss@node-b/3", ("node-a", 0), ("node-b", 3), 1),
        ("partial-loss@node-b/3", ("node-b", 3), ("node-a", 0), 1),
        ("link-down@node-b/3", ("node-a", 0), ("node-b", 3), 3),
    ],
)
def test_what_is_lost_on_the_way(cluster, fault, source, target, lost):
    nodes = cluster(fault)
    ip = nodes["node-a"].spec.device(*target).ip
    text = nodes[source[0]].execute(("hccn_tool", "-i", str(source[1]), "-ping", "-g", "address", ip)).stdout.decode()
    percent = {0: "0.00", 1: "33.33", 3: "100.00"}[lost]
    assert text.splitlines()[-1] == f"3 packets transmitted, {3 - lost} received, {percent}% packet loss"
    assert text.count("recv time out seq=") == lost
    if lost == 3:
        assert text.splitlines()[1:4] == PING_LOST


def test_a_link_that_is_down(say):
    assert say("hccn_tool -i 3 -link -g", "link-down") == "link status: DOWN\n"
    assert say("hccn_tool -i 2 -link -g", "link-down") == "link status: UP\n"
    assert say("hccn_tool -i 3 -net_health -g", "link-down") == "net health status: Fault\n"
    history = say("hccn_tool -i 3 -link_stat -g", "link-down").splitlines()
    newest = history[history.index("[devid 3]link change records :") + 1]
    assert newest.endswith("    LINK DOWN")
    ping = say("hccn_tool -i 3 -ping -g address 10.20.0.10", "link-down")
    assert ping == "Command execute failed!\nExecute failed: Link status is down.\n"


def test_an_unreachable_device_looks_well_by_itself(say):
    assert say("hccn_tool -i 3 -link -g", "device-unreachable") == "link status: UP\n"
    assert say("hccn_tool -i 3 -net_health -g", "device-unreachable") == "net health status: Success\n"


def test_the_tls_switch(say):
    first = "dev_id:3, tls switch[{}](0:disable, 1:enable), tls preconfigured[1](0:non-preset, 1:preset), tls alarm time threshold[60]days"
    assert say("hccn_tool -i 3 -tls -g").splitlines()[0] == first.format(0)
    assert say("hccn_tool -i 3 -tls -g", "tls-differs").splitlines()[0] == first.format(1)
    # nothing else changes
    assert (
        say("hccn_tool -i 3 -tls -g").splitlines()[1:] == say("hccn_tool -i 3 -tls -g", "tls-differs").splitlines()[1:]
    )
    assert "end_time[Sun Feb 16 03:19:21 2048 GMT]" in say("hccn_tool -i 3 -tls -g")
    assert "tls switch" not in say("hccn_tool -i 3 -tls -g", "unparsed-tls")


def test_a_tool_that_hangs(cluster):
    node = cluster("hung-tool@node-b/3")["node-b"]
    assert node.execute(("hccn_tool", "-i", "3", "-tls", "-g")).timed_out
    assert not node.execute(("hccn_tool", "-i", "2", "-tls", "-g")).timed_out


def test_gateway_and_switch_port(say):
    assert say("hccn_tool -i 3 -gateway -g") == "default gateway:10.20.1.1, Iface:eth3\n"
    assert "because no gateway was preset there!" in say("hccn_tool -i 3 -gateway -g", "gateway-missing")
    assert "\tIfname: 400GE1/2/2:2\n" in say("hccn_tool -i 3 -lldp -g")
    assert "Ifname" not in say("hccn_tool -i 3 -lldp -g", "lldp-silent")


def test_what_the_tool_refuses(say):
    assert say("hccn_tool -i 12 -ip -g") == "The device is not exist!\n"
    assert "Usage" in say("hccn_tool -ip -g")
    assert say("hccn_tool -i 3 -ip -g", "tool-missing") == "sh: 1: hccn_tool: not found\n"


def test_the_file_of_the_devices_addresses(say):
    assert "address_3=10.20.1.13\nnetmask_3=255.255.255.0\n" in say("cat /etc/hccn.conf")
    assert "address_3=10.20.1.113\n" in say("cat /etc/hccn.conf", "stale-hccn-conf")
    assert "address_3=10.20.0.10\n" in say("cat /etc/hccn.conf", "duplicate-device-ip")
    assert "address_3=" not in say("cat /etc/hccn.conf", "no-device-ip")

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hakuna.probes import hccn, hccn_conf
from hakuna.probes.reading import UnparsedError

PARSERS = [
    hccn.parse_address,
    hccn.parse_address6,
    hccn.parse_gateway,
    hccn.parse_link,
    hccn.parse_link_stat,
    hccn.parse_lldp,
    hccn.parse_net_health,
    hccn.parse_netdetect,
    hccn.parse_ping,
    hccn.parse_tls,
    hccn.parse_vnic,
]
UNABLE = [
    "",
    "hello world",
    "permission denied: pls check this cmd run permission.",
    "The device is not exist!",
    "hccn_tool: command not found",
    "packet statistics:\nmac_tx_mac_pause_num:0",
]


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("text", UNABLE)
def test_what_a_tool_does_not_say_is_no_fact(parse, text):
    with pytest.raises(UnparsedError):
        parse(text)


@pytest.mark.parametrize("parse", [p for p in PARSERS if p is not hccn.parse_ping])
@pytest.mark.parametrize("text", ["Command execute failed!", "hccn_tool is busy, please try again."])
def test_the_tools_own_error_is_named(parse, text):
    with pytest.raises(UnparsedError, match=text[:12]):
        parse(text)


def test_commands_are_the_documented_ones():
    assert hccn.address(3).argv == ("hccn_tool", "-i", "3", "-ip", "-g")
    assert hccn.address6(3).argv == ("hccn_tool", "-i", "3", "-ip", "-inet6", "-g")
    made = [
        f(3)
        for f in (
            hccn.address,
            hccn.address6,
            hccn.link,
            hccn.net_health,
            hccn.gateway,
            hccn.netdetect,
            hccn.tls,
            hccn.lldp,
            hccn.link_stat,
            hccn.vnic,
        )
    ]
    assert [c.id for c in made] == [
        f"hccn.{n}/3"
        for n in ("ip", "ip6", "link", "health", "gateway", "netdetect", "tls", "lldp", "link_stat", "vnic")
    ]
    assert {c.lane for c in made} == {"hccn/3"}
    assert not any(c.mutates for c in made)


def test_ping_speaks_both_families():
    four = hccn.ping(0, "10.0.0.2", "node-b", 7)
    assert (four.id, four.argv[3:]) == ("hccn.ping/0/node-b/7", ("-ping", "-g", "address", "10.0.0.2"))
    six = hccn.ping(0, "fd00::2", "node-b", 7, packets=5)
    assert six.argv[3:] == ("-ping", "-inet6", "-g", "ipv6_address", "fd00::2", "pkt", "5")
    assert six.deadline > four.deadline


# --- ping: the trap of the guide --------------------------------------------------------------------------------------


def test_a_total_loss_is_not_taken_for_none():
    text = "device 0 PING 10.0.0.2\nrecv time out seq=0\n3 packets transmitted, 0 received, 100.00% packet loss\n"
    assert "0.00% packet loss" in text  # what the guide tells people to look for
    ping = hccn.parse_ping(text)
    assert (ping.received, ping.loss_percent) == (0, 100.0)


@given(sent=st.integers(1, 1000), data=st.data())
def test_loss_is_counted_from_the_numbers(sent, data):
    received = data.draw(st.integers(0, sent))
    loss = 100.0 * (sent - received) / sent
    ping = hccn.parse_ping(f"{sent} packets transmitted, {received} received, {loss:.2f}% packet loss")
    assert (ping.sent, ping.received) == (sent, received)
    assert ping.loss_percent == pytest.approx(loss)
    assert (ping.loss_percent == 0) == (sent == received)


@pytest.mark.parametrize(
    "text",
    [
        "3 packets transmitted, 0 received, 0.00% packet loss",
        "3 packets transmitted, 3 received, 100.00% packet loss",
        "3 packets transmitted, 4 received, 0.00% packet loss",
        "0.00% packet loss",
        "device 0 PING 10.0.0.2\nrecv seq=0,time=0.114000ms",
        "3 packets transmitted, 3 received, 0.00% packet loss\n" * 2,
    ],
)
def test_a_ping_that_cannot_be_is_no_fact(text):
    with pytest.raises(UnparsedError):
        hccn.parse_ping(text)


@pytest.mark.parametrize(
    "text",
    [
        "Command execute failed!",
        "Cmd execute failed!",
        "Execute failed: Link status is down.",
        "hccn_tool is busy, please try again.",
        "Control link unreachable.",
    ],
)
def test_a_ping_that_the_tool_could_not_do_received_nothing(text):
    ping = hccn.parse_ping(f"hccn_tool -i 2 -ping -g address 10.0.0.9\r\n{text}\r\n")
    assert ping == hccn.Ping("10.0.0.9", 0, 0, 100.0, (), text)


def test_ping_of_ipv6_and_of_a3():
    six = "device 4 PING6 fd00::2\nrecv seq=0,time=0.114000ms\n1 packets transmitted, 1 received, 0.00% packet loss"
    assert hccn.parse_ping(six).target == "fd00::2"
    assert hccn.parse_ping("3 packets transmitted, 3 received, 0.00% packets loss").received == 3


# --- addresses --------------------------------------------------------------------------------------------------------


def test_nothing_set_is_a_fact():
    assert hccn.parse_address("Get ipconf failed, because no ip was preset there!").ip is None
    assert hccn.parse_address6("This device does not support IPV6!").ip is None
    assert hccn.parse_gateway("Get gateway failed, because no gateway was preset there!") == hccn.Gateway(None)
    assert hccn.parse_netdetect("netdetect addr: ") == hccn.NetDetect(None)
    assert hccn.DeviceAddress(None).network is None


def test_netdetect_is_spelt_in_two_ways():
    assert hccn.parse_netdetect("netdetect addr: 10.0.0.1").ip == "10.0.0.1"
    assert hccn.parse_netdetect("netdetect address:10.0.0.1").ip == "10.0.0.1"


def test_the_network_of_an_address():
    four = hccn.parse_address("ipaddr:192.168.1.8\nnetmask:255.255.255.0")
    assert (four.prefix, four.network) == (24, ipaddress.ip_network("192.168.1.0/24"))
    six = hccn.parse_address("ipv6_address:FD00:0:0::0008\nprefix_length:64\n")
    assert (six.ip, six.network) == ("fd00::8", ipaddress.ip_network("fd00::/64"))
    assert hccn.parse_address("ipaddr:192.168.1.8").network is None


@pytest.mark.parametrize(
    "text",
    [
        "ipaddr:10.xx.xx.10\nnetmask:255.255.255.0",
        "ipaddr:-.-.-.-",
        "ipaddr:",
        "ipaddr:10.0.0.1\nnetmask:255.0.255.0",
        "ipaddr:10.0.0.1\nipaddr:10.0.0.2",
        "ipaddr:10.0.0.1\nipv6_address:fd00::1",
        "vnic ipaddr: 192.168.2.199",
    ],
)
def test_an_address_that_is_none_is_named_and_refused(text):
    with pytest.raises(UnparsedError):
        hccn.parse_address(text)


def test_gateway_of_ipv6_and_of_two_minds():
    assert hccn.parse_gateway("gateway:fe80::1").ip == "fe80::1"
    with pytest.raises(UnparsedError, match="several"):
        hccn.parse_gateway("default gateway:10.0.0.1, Iface:eth0\ndefault gateway:10.0.0.2, Iface:eth0")


# --- link, health, lldp, tls ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Success", "SUCCESS"),
        ("Init", "INCONCLUSIVE"),
        ("Unknown", "INCONCLUSIVE"),
        ("Socket fail", "BAD"),
        ("Receive timeout", "BAD"),
        ("Detect ip set", "BAD"),
    ],
)
def test_words_of_net_health(word, status):
    assert hccn.parse_net_health(f"net health status: {word}") == hccn.NetHealth(word, hccn.HealthStatus[status])


def test_a_new_word_of_net_health_is_not_guessed():
    with pytest.raises(UnparsedError, match="Splendid"):
        hccn.parse_net_health("net health status: Splendid")


def test_a_link_is_up_or_down_and_nothing_else():
    with pytest.raises(UnparsedError):
        hccn.parse_link("link status: MAYBE")
    with pytest.raises(UnparsedError, match="several"):
        hccn.parse_link("link status: UP\nlink status: DOWN")
    with pytest.raises(UnparsedError):
        hccn.parse_link("vnic link status: UP")


def test_lldp_in_full():
    text = (
        "Chassis ID TLV\n\tMAC: 48:2c:d0:00:00:01\nPort ID TLV\n\tIfname: 200GE1/0/1\nTime to Live TLV\n\t120\n"
        "System Name TLV\n\tswitch-7\nSystem Description TLV\n\tCE9860\n"
    )
    assert hccn.parse_lldp(text) == hccn.Lldp("200GE1/0/1", "switch-7")
    assert hccn.parse_lldp("Chassis ID TLV\n\tMAC: 48:2c\nSystem Name TLV\nEnd of LLDPDU TLV\n") == hccn.Lldp(
        None, None
    )


def test_link_history_of_the_other_spelling():
    text = "[device 3]link up count : 0\n[device 3]link change records :\n"
    assert hccn.parse_link_stat(text) == hccn.LinkHistory(0, None, (), None)
    with pytest.raises(UnparsedError, match="several devices"):
        hccn.parse_link_stat("[devid 0]link up count : 2\n[devid 1]link up count : 2\n")


def test_tls_of_three_releases():
    assert hccn.parse_tls("device 2, tls switch[1](0:disable, 1:enable)") == hccn.Tls(enabled=True)
    new = (
        "dev_id:5, tls switch[1](0:disable, 1:enable), tls preconfigured[0](0:non-preset, 1:preset), "
        "tls alarm time threshold[30]days\ndev_id:5, [pub cert] info:\n end_time[Sat Feb  6 03:19:21 2027 GMT]\n"
    )
    tls = hccn.parse_tls(new)
    assert (tls.enabled, tls.preconfigured, tls.alarm_days) == (True, False, 30)
    assert tls.certificates[0].not_before is None
    assert tls.certificates[0].not_after.isoformat() == "2027-02-06T03:19:21+00:00"
    for bad in ("tls switch[2]", "tls switch[0]\ndev_id:0, [pub cert] info:\nend_time[soon]"):
        with pytest.raises(UnparsedError):
            hccn.parse_tls(bad)


# --- hccn.conf --------------------------------------------------------------------------------------------------------


def test_hccn_conf_in_full():
    conf = hccn_conf.parse_conf(
        "# comment\naddress_0=10.0.0.1\nnetmask_0=255.255.255.0\ngateway_0=10.0.0.254\nnetdetect_0=10.0.0.254\n"
        "send_arp_status_0=1\naddress_1=10.0.0.2\nIPv6address_1=fd00::0002\nIPv6netmask_1=64\nIPv6gateway_1=fd00::1\n"
        "tls_enable_1=1\ntls_enable=0\n"
    )
    assert conf.addresses == {0: "10.0.0.1", 1: "10.0.0.2"}
    assert (conf.gateways, conf.netdetects) == ({0: "10.0.0.254"}, {0: "10.0.0.254"})
    assert (conf.addresses6, conf.prefixes6) == ({1: "fd00::2"}, {1: 64})
    assert conf.tls_enable == {0: False, 1: True}


def test_no_hccn_conf_is_a_fact():
    assert hccn_conf.parse_conf("cat: /etc/hccn.conf: No such file or directory") == hccn_conf.HccnConf(present=False)
    assert hccn_conf.parse_conf("") == hccn_conf.HccnConf()


@pytest.mark.parametrize("text", ["hello", "IPv6netmask_0=200", "tls_enable=yes", "address_0=10.0.0.300"])
def test_a_broken_hccn_conf_is_refused(text):
    with pytest.raises(UnparsedError):
        hccn_conf.parse_conf(text)


def test_splitting_by_device():
    marked = "dev_id:3, tls switch[0]\n  more\ndev_id:5, tls switch[1]\n"
    assert hccn.split_by_device(marked) == {3: "dev_id:3, tls switch[0]\n  more", 5: "dev_id:5, tls switch[1]\n"}
    assert hccn.split_by_device("ipaddr:1.1.1.1\nnetmask:a\nipaddr:1.1.1.2\nnetmask:a") == {
        0: "ipaddr:1.1.1.1\nnetmask:a",
        1: "ipaddr:1.1.1.2\nnetmask:a",
    }
    assert hccn.split_by_device("") == {}

# SPDX-License-Identifier: Apache-2.0
"""Drift: what is not as it was in the last good runs of this cluster (``reports/history.sqlite``).

Whether a drift is a WARN or a FAIL, and from when on a figure counts as worse, stands in the inventory (``drift:``).
A change that warns is told once: the run is good, and the next one is compared with it. One that fails is told until
``hakuna accept RUN`` makes its run a good one.
"""

import statistics

from hakuna import Where, rule
from hakuna.inventory.model import DriftVerdict
from hakuna.judgement.past import is_worse, usual
from hakuna.probes import lmdeploy_http as http


def teller(findings, verdict):
    """What a drift is reported by; a skip where the inventory wants none."""
    if verdict is DriftVerdict.OFF:
        findings.skip("the inventory says that drift is off")
    return findings.fail if verdict is DriftVerdict.FAIL else findings.warn


def changed(findings, inventory, tables):
    """Report every fact that is not what the last good run found; what could not be read is told by other rules."""
    past, drift = inventory.past, inventory.model.drift
    tell = teller(findings, drift.changed)
    if not past.facts:
        findings.skip("no good run of this cluster is remembered yet")
    for name, table in tables.items():
        if name in drift.ignore:
            continue
        for place, value in table.where(lambda w, t=table: t.readings[w].readable):
            before = past.fact(str(place), name)
            if before is not None and before != value:
                tell(place, expected=before, observed=value, message=f"{name} changed since run {past.run}", name=name)


def slower(findings, inventory, figures):
    """Report every figure that is worse than usual; ``figures`` are name, value, unit, and what is better."""
    past, drift = inventory.past, inventory.model.drift
    tell = teller(findings, drift.slower)
    if not any(name in past.series for name, *_ in figures):
        findings.skip("no good run of this cluster is remembered yet")
    for name, value, unit, better in figures:
        values = past.series.get(name, ())
        if value is not None and is_worse(values, name, value, unit, better, drift):
            expected = f"about {usual(values, name, drift):.4g} {unit}, the median of {len(values)} good runs"
            tell(
                Where.cluster(),
                expected=expected,
                observed=f"{value:.4g} {unit}",
                message=f"{name} is worse than usual",
                name=name,
            )


@rule("HST129", needs=("HST109", "HST110", "HST111", "HST112", "HST121", "HST122"), gates=False)
def test_the_software_is_that_of_the_last_good_run(hosts, inventory, findings):
    """A deployment that was fine yesterday and is not today was changed in between, more often than not.

    Judged on driver, firmware, npu-smi, CANN, kernel, container engine, image digest and model config of every node,
    against the last good run of this cluster.

    Fix: if the new {name} was planned, nothing (a WARN is told once); else put {expected} back on {node}
    Source: guide 0 (driver, firmware and CANN of every machine)
    """
    changed(findings, inventory, hosts.software)


@rule("NET212", needs=("NET201", "NET202", "NET205"), gates=False)
def test_the_addresses_are_those_of_the_last_good_run(network, inventory, findings):
    """A device address that moved makes rank tables that were kept elsewhere stale.

    Judged on the address of every device, against the last good run of this cluster.

    Fix: if it was not planned: hccn_tool -i {device_id} -ip -s address {expected} netmask MASK
    Source: guide 3 (the rank table holds every device_ip)
    """
    changed(findings, inventory, {"device IP": network.address.map(lambda a: a.ip or "-")})


@rule("NET223", guide="0", needs=("NET220", "NET221", "NET222"), rests_on=("NET222",), gates=False)
def test_the_mesh_is_as_fast_as_usual(network, inventory, findings):
    """A latency that creeps is a switch that fills up or an optic that ages, long before any limit is reached.

    Judged on the median and the slowest round trip of all pairs, against the median and the median absolute
    deviation of the last good runs.

    Fix: compare the slowest pairs of this report with an older one's; hccn_tool -i N -stat -g and -optical -g there
    Source: guide 0 (stable latency); Leys et al. 2013, median absolute deviation
    """
    times = network.pings.times() if inventory.past.series else []
    figures = (statistics.median(times), max(times)) if times else (None, None)
    names = ("ping_median_ms", "ping_slowest_ms")
    slower(findings, inventory, [(name, value, "ms", "less") for name, value in zip(names, figures, strict=True)])


@rule("CTR312", needs=("CTR301", "CTR308"), gates=False)
def test_the_packages_are_those_of_the_last_good_run(containers, inventory, findings):
    """An image that was pulled again under the same tag brings other packages without anybody saying so.

    Judged on Python and its packages inside of every container, against the last good run of this cluster.

    Fix: if the new {name} was planned, nothing (a WARN is told once); else name the image by its digest
    Source: guide 1 (the image is named by a tag)
    """
    names = ("lmdeploy", "dlinfer-ascend", "torch", "torch-npu", "ray", "transformers")
    tables = {name: containers.packages.map(lambda p, n=name: p.packages.get(n) or "-") for name in names}
    changed(findings, inventory, tables | {"Python (container)": containers.packages.map(lambda p: p.python)})


@rule("COL604", guide="5", rests_on=("COL601",), gates=False, marks=("disruptive",))
def test_the_all_reduce_is_as_fast_as_usual(collective, inventory, findings):
    """A link that fell back to a lower speed last night is still above any limit that was set for a year.

    Judged on the largest all-reduce, against the last good runs' median and median absolute deviation.

    Fix: compare hccn_tool -i N -speed -g and -optical -g of all devices
    Source: guide 5 (the device network); Leys et al. 2013, median absolute deviation
    """
    if not collective.ran:
        findings.skip("the devices belong to the running service")
    rounds = collective.result.value.rounds if inventory.past.series else ()
    slower(findings, inventory, [("allreduce_gbps", rounds[-1].gbps if rounds else None, "Gbit/s", "more")])


@rule("GEN813", guide="4.1", rests_on=("GEN801", "GEN803"), gates=False, marks=("hardware",))
def test_the_service_is_as_fast_as_usual(generation, api_server, inventory, findings):
    """Load time, first token and throughput are what users feel; they get worse long before anything fails.

    Judged on each against the last good runs' median and median absolute deviation.

    Fix: hakuna diff good last: what else changed? Then look at other load on the nodes and at the mesh
    Source: guide 4.1; Leys et al. 2013, median absolute deviation
    """
    completion = http.parse_completion(generation.completion.value)
    rate = (completion.completion_tokens or 0) / generation.completion.value.seconds
    first = http.parse_stream(generation.stream.value).first_token
    figures = [
        ("first_token_seconds", first or None, "s", "less"),
        ("tokens_per_second", rate or None, "tokens/s", "more"),
    ]
    if api_server.launched:
        figures.append(("server_ready_seconds", api_server.waited, "s", "less"))
    slower(findings, inventory, figures)

# SPDX-License-Identifier: Apache-2.0
"""Stage 2, TLS between the devices (guide, section 5.2)."""

from datetime import datetime, timezone

from hakuna import rule


@rule("NET204", guide="5.2", needs=("HST113", "HST114"))
def test_tls_switch_is_the_same_on_every_device(network, findings):
    """HCCL hangs or reports EI0016 when two devices disagree about TLS; older releases only hang.

    Judged on the switch in hccn_tool -i N -tls -g of every device, not on the text (it names the device, so it
    always differs); the minority is blamed.

    Fix: on {node}: hccn_tool -i {device_id} -tls -s enable {value}
    Source: guide 5.2; hicann/hccl cluster_info_verify_fail.md; vllm-ascend #10224
    """
    majority = network.switch.majority
    for device, switch in network.switch.minority():
        findings.fail(device, expected=majority, observed=switch, value=int(bool(majority)))


@rule("NET213", guide="5.2", needs=("HST113", "HST114", "NET204"), gates=False)
def test_certificates_are_valid_for_a_while(network, inventory, findings):
    """Where TLS is on, an expired certificate stops every connection at once, on a night nobody chose.

    Judged on the dates in hccn_tool -i N -tls -g of devices whose switch is on (and of those that carry
    certificates at all, as a warning), against thresholds.certificate_days.

    Fix: renew the certificate {name} of device {device_id} on {node}
    Source: hccn_tool reference (-tls -g: alarm time threshold)
    """
    limit = inventory.model.thresholds.certificate_days
    now = datetime.now(timezone.utc)
    for device, tls in network.tls:
        for certificate in tls.certificates:
            if certificate.not_after is None:
                continue
            end = certificate.not_after.replace(tzinfo=certificate.not_after.tzinfo or timezone.utc)
            days = (end - now).days
            if days < limit:
                say = findings.fail if tls.enabled else findings.warn
                say(device, expected=f"valid for {limit} days", observed=f"{days} days left", name=certificate.name)

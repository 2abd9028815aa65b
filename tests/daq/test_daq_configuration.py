"""The configuration files of observatories and DaqData servers, of both generations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devices.core.errors import ConfigurationError
from devices.daq.configuration import (
    DaqNode,
    HpIoConfig,
    PortForwarding,
    parse_daq_config,
    parse_hp_io_config,
    parse_network_config,
    read_configuration,
)
from devices.daq.configuration_server import ServerConfig, UdsMethod, parse_server_config

DAQ = {
    "head_node_data_dir": "/mnt/data",
    "head_node_ip_addr": "192.168.1.100",
    "head_node_container": True,
    "daq_nodes": [
        {"ip_addr": "192.168.0.4", "username": "panosetigraph", "data_dir": "/mnt/data10", "module_ids": [1, 3]},
        {"ip_addr": "daq2", "user_name": "pano", "module_ids": "0-255", "bindhost": "192.168.1.2"},
        {"ip_addr": "unix:///tmp/daq.sock"},
    ],
    "of_another_program": {"a": 1},
}
TODAY = {
    "init_from_default": True,
    "default_hp_io_config_file": "hp_io_config_lick.json",
    "unix_domain_socket": "unix:///run/daq.sock",
    "max_concurrent_rpcs": 7,
    "max_read_queue_size": 51,
    "min_hp_io_update_interval_seconds": 0.002,
    "max_client_update_interval_seconds": 61,
    "max_reader_enqueue_timeouts": 4,
    "max_reader_dequeue_timeouts": 5,
    "reader_timeout": 6,
    "shutdown_grace_period": 2,
    "hp_io_stop_timeout": 3.0,
    "valid_data_products": ["img16", "ph256"],
    "read_status_pipe_name": "read_status_3",
    "acquisition_methods": {
        "filesystem_poll": {"enabled": False},
        "filesystem_pipe": {"enabled": True},
        "uds": {
            "enabled": True,
            "data_products": ["img8", "ph1024"],
            "socket_path_template": "/run/hp.{dp_name}",
            "read_timeout": 600.0,
        },
    },
    "simulate_daq_cfg": {
        "simulation_mode": "filesystem_pipe",
        "sim_module_ids": [224, 1],
        "movie_type": "img8",
        "ph_type": "ph1024",
        "update_interval_seconds": 0.02,
        "source_data": {
            "real_module_id": 3,
            "movie_pff_path": "run/a.dp_{movie_type}.module_{module_id}.pff",
            "ph_pff_path": "/abs/b.dp_ph256.module_{module_id}.pff",
        },
        "filesystem_cfg": {
            "sim_data_dir": "sim",
            "sim_run_dir_template": "module_{module_id}/obs_SIMULATE_2",
            "daq_active_file": "m{module_id}.active",
        },
        "strategies": {
            "filesystem_pipe": {"frames_per_pff": 30, "frame_limit": 500, "data_products": ["img8"]},
            "uds": {"frame_limit": -1},
        },
    },
}
OLDER = {
    "init_from_default": False,
    "max_read_queue_size": 50,
    "min_hp_io_update_interval_seconds": 0.01,
    "valid_data_products": ["img8", "img16", "ph256", "ph1024"],
    "simulate_daq_cfg": {
        "simulation_mode": "filesystem",
        "real_module_id": 1,
        "sim_module_ids": [2, 5],
        "movie_type": "img16",
        "ph_type": "ph256",
        "frames_per_pff": 1000,
        "files": {
            "data_dir": "simulated_data_dir",
            "real_run_dir": "obs_Lick.start_2024-07-25T04:34:06Z.runtype_sci-data.pffd",
            "sim_run_dir_template": "module_{module_id}/obs_SIMULATE",
            "movie_pff_template": "start_x.dp_img16.bpp_2.module_{module_id}.seqno_{seqno}.pff",
            "ph_pff_template": "start_x.dp_ph256.bpp_2.module_{module_id}.seqno_{seqno}.pff",
            "daq_active_file": "module_{module_id}.daq-active",
        },
    },
}


def problems(parse, document: object) -> tuple[str, ...]:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigurationError) as raised:
        parse(document)
    return raised.value.problems


def test_the_recorders_of_an_observatory() -> None:
    found = parse_daq_config(DAQ)
    assert found.daq_nodes[0] == DaqNode("192.168.0.4", "panosetigraph", "/mnt/data10", (1, 3))
    assert found.daq_nodes[1] == DaqNode("daq2", "pano", "", tuple(range(256)), "192.168.1.2")
    assert (found.head_node_data_dir, found.head_node_ip_addr, found.head_node_container) == (
        "/mnt/data",
        "192.168.1.100",
        True,
    )
    assert found.node_of(3) is found.daq_nodes[0]
    assert found.node_of(200) is found.daq_nodes[1]
    assert found.node_of(256) is None


def test_what_is_wrong_with_recorders_is_told_with_its_key() -> None:
    assert problems(parse_daq_config, {}) == ("daq_nodes: missing",)
    assert problems(parse_daq_config, {"daq_nodes": []})[0].startswith("daq_nodes: ")
    wrong = {"daq_nodes": [{"module_ids": [1]}, {"ip_addr": 7}, {"ip_addr": "x", "data_dir": None}]}
    assert [text.partition(":")[0] for text in problems(parse_daq_config, wrong)] == [
        "daq_nodes[0].ip_addr",
        "daq_nodes[1].ip_addr",
        "daq_nodes[2].data_dir",
    ]
    wrong = {"daq_nodes": [{"ip_addr": "x", "module_ids": "255-0"}, {"ip_addr": "y", "module_ids": [70000]}]}
    assert [text.partition(":")[0] for text in problems(parse_daq_config, wrong)] == [
        "daq_nodes[0].module_ids",
        "daq_nodes[1].module_ids",
    ]


def test_the_way_through_the_network() -> None:
    forwarded = {"status": True, "gw_ip": "10.1.1.1", "reboot_port": [1, 2, 3, 4], "cmd_port": [5, 6, 7, 8]}
    found = parse_network_config(
        {
            "modules": [
                {"ip_addr": "192.168.3.248", "port_forwarding": forwarded},
                {"ip_addr": "192.168.0.4", "port_forwarding": {"status": False, "gw_ip": ""}},
            ],
            "daq_nodes": [
                {"ip_addr": "192.168.0.4", "port_forwarding": {"status": True, "gw_ip": "10.0.0.9"}},
                {"ip_addr": "192.168.0.5", "port_forwarding": {"status": False, "gw_ip": "10.0.0.8"}},
            ],
        }
    )
    assert [module.module for module in found.modules] == [254, 1]
    assert found.modules[0].forwarding == PortForwarding("10.1.1.1", (1, 2, 3, 4), (5, 6, 7, 8))
    assert found.modules[1].forwarding is None
    assert [found.host_of(f"192.168.0.{n}") for n in (4, 5, 6)] == ["10.0.0.9", "192.168.0.5", "192.168.0.6"]


def test_what_is_wrong_with_the_network_is_told_with_its_key() -> None:
    wrong = {
        "modules": [{"ip_addr": "192.168.3.999"}, {"ip_addr": "1.2.3.4", "port_forwarding": {"status": True}}],
        "daq_nodes": [{"ip_addr": "a", "port_forwarding": {"status": True, "gw_ip": ""}}],
    }
    assert [text.partition(":")[0] for text in problems(parse_network_config, wrong)] == [
        "modules[0].ip_addr",
        "modules[1].port_forwarding.gw_ip",
        "daq_nodes[0].port_forwarding.gw_ip",
    ]
    wrong = {"modules": [{"ip_addr": "host"}, {"ip_addr": "1.1.1.1", "port_forwarding": {"cmd_port": [1, 2, 70000]}}]}
    keys = {text.partition(":")[0] for text in problems(parse_network_config, wrong)}
    assert {"modules[0].ip_addr", "modules[1].port_forwarding.cmd_port[2]"} <= keys


def test_what_init_hp_io_is_asked_for() -> None:
    found = parse_hp_io_config({"data_dir": "/mnt/data10", "comments": "Lick", "module_ids": [3, 1]})
    assert found == HpIoConfig("/mnt/data10", 0.1, True, False, (3, 1))
    assert parse_hp_io_config({"simulate_daq": True, "update_interval_seconds": 1}).update_interval_seconds == 1.0
    assert problems(parse_hp_io_config, {}) == ("data_dir: missing, and simulate_daq is false",)
    wrong = {"data_dirr": "x", "update_interval_seconds": 0, "force": "yes"}
    assert {text.partition(":")[0] for text in problems(parse_hp_io_config, wrong)} == {
        "data_dirr",
        "update_interval_seconds",
        "force",
    }


def test_a_server_of_today(tmp_path: Path) -> None:
    path = tmp_path / "daq_data_server_config.json"
    path.write_text(json.dumps(TODAY))
    found = read_configuration(path, lambda document, subject: parse_server_config(document, subject, path.parent))
    assert isinstance(found, ServerConfig)
    assert found.default_hp_io_config_file == tmp_path / "hp_io_config_lick.json"
    assert (found.init_from_default, found.unix_domain_socket) == (True, "unix:///run/daq.sock")
    assert (found.max_concurrent_rpcs, found.max_read_queue_size) == (7, 51)
    assert (found.min_hp_io_update_interval_seconds, found.max_client_update_interval_seconds) == (0.002, 61)
    assert (found.max_reader_enqueue_timeouts, found.max_reader_dequeue_timeouts, found.reader_timeout) == (4, 5, 6)
    assert (found.shutdown_grace_period, found.hp_io_stop_timeout) == (2, 3.0)
    assert (found.valid_data_products, found.read_status_pipe_name) == (("img16", "ph256"), "read_status_3")
    assert (found.filesystem_poll, found.filesystem_pipe) == (False, True)
    assert found.uds == UdsMethod(("img8", "ph1024"), "/run/hp.{dp_name}", 600.0)
    simulation = found.simulation
    assert simulation.paths == (tmp_path / "run/a.dp_img8.module_3.pff", Path("/abs/b.dp_ph256.module_3.pff"))
    (tmp_path / "run").mkdir()
    simulation.paths[0].touch()
    settings = found.simulator_settings()
    assert (settings.mode, settings.modules, settings.movie, settings.pulse_heights) == (
        "pipe",
        (224, 1),
        "img8",
        "none",  # ph1024 is not among its data products
    )
    assert (settings.rate_hz, settings.event_rate_hz) == (50.0, 50.0)
    assert settings.paths == (str(simulation.paths[0]),)
    assert (settings.data_dir, settings.run) == (str(tmp_path / "sim"), "obs_SIMULATE_2")
    assert (settings.active_file, settings.pipe_name) == ("m{module_id}.active", "read_status_3")
    assert (settings.frames_per_file, settings.frame_limit) == (30, 500)


def test_a_server_of_the_older_generation(tmp_path: Path) -> None:
    found = parse_server_config(OLDER, folder=tmp_path)
    assert (found.filesystem_poll, found.filesystem_pipe, found.uds) == (True, False, None)
    assert (found.max_concurrent_rpcs, found.min_hp_io_update_interval_seconds) == (100, 0.01)
    run = tmp_path / "simulated_data_dir" / "obs_Lick.start_2024-07-25T04:34:06Z.runtype_sci-data.pffd"
    assert found.simulation.paths == (
        run / "start_x.dp_img16.bpp_2.module_1.seqno_0.pff",
        run / "start_x.dp_ph256.bpp_2.module_1.seqno_0.pff",
    )
    settings = found.simulator_settings()
    assert (settings.mode, settings.modules, settings.rate_hz) == ("filesystem", (2, 5), 10.0)
    assert (settings.data_dir, settings.run) == (str(tmp_path / "simulated_data_dir"), "obs_SIMULATE")
    assert (settings.frames_per_file, settings.frame_limit, settings.paths) == (1000, -1, ())


@pytest.mark.parametrize(
    ("named", "mode"),
    [("uds", "uds"), ("rpc", "rpc"), ("filesystem", "filesystem"), ("filesystem_poll", "filesystem")],
)
def test_simulation_modes_of_both_vocabularies(named: str, mode: str) -> None:
    assert parse_server_config({"simulate_daq_cfg": {"simulation_mode": named}}).simulation.mode == mode


def test_all_that_is_wrong_with_a_server_is_told_with_its_key() -> None:
    wrong = {
        "max_concurrent_rpc": 3,
        "max_read_queue_size": 0,
        "read_status_pipe_name": "a/b",
        "valid_data_products": ["img32"],
        "acquisition_methods": {"uds": {"socket_path_template": "/tmp/one"}, "smoke": {}},
        "simulate_daq_cfg": {"simulation_mode": "tape", "strategies": {"rpc": {"frame_limit": -2}}},
    }
    assert {text.partition(":")[0] for text in problems(parse_server_config, wrong)} == {
        "max_concurrent_rpc",
        "max_read_queue_size",
        "read_status_pipe_name",
        "valid_data_products[0]",
        "acquisition_methods.uds.socket_path_template",
        "acquisition_methods.smoke",
        "simulate_daq_cfg.simulation_mode",
        "simulate_daq_cfg.strategies.rpc.frame_limit",
    }
    wrong = {
        "min_hp_io_update_interval_seconds": 90,
        "simulate_daq_cfg": {
            "sim_module_ids": "x",
            "filesystem_cfg": {"sim_run_dir_template": "module_{module_id}/obs_Lick"},
            "source_data": {"movie_pff_path": "{colour}.pff"},
        },
    }
    assert sorted(text.partition(":")[0] for text in problems(parse_server_config, wrong)) == [
        "min_hp_io_update_interval_seconds",
        "simulate_daq_cfg",
        "simulate_daq_cfg.sim_module_ids",
        "simulate_daq_cfg.sim_run_dir_template",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "not JSON"), ('{"update_interval_seconds": NaN}', "NaN is no number"), ("[]", "is not of type 'object'")],
)
def test_files_that_are_no_configuration(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "hp_io_config.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=told) as raised:
        read_configuration(path, parse_hp_io_config)
    assert raised.value.subject == str(path)
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read_configuration(tmp_path / "nothing.json", parse_hp_io_config)

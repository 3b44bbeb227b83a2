#!/usr/bin/env python3
"""What Home Assistant does with what its users write, by the libraries that it does it with.

`modbus` reads a `modbus:` of its configuration.yaml from standard input and prints what its sensors are. `zigbee URL`
opens a coordinator's path as ZHA does, sends it a frame and prints what comes back."""

import asyncio
import sys


async def modbus(text):
    import yaml
    from pymodbus.client import AsyncModbusTcpClient
    from pymodbus.framer import FramerType

    framers = {"tcp": FramerType.SOCKET, "rtuovertcp": FramerType.RTU}
    for hub in yaml.safe_load(text)["modbus"]:
        client = AsyncModbusTcpClient(hub["host"], port=hub["port"], framer=framers[hub["type"]], name=hub["name"])
        assert await client.connect()
        for sensor in hub["sensors"]:
            read = await client.read_holding_registers(sensor["address"], count=1, device_id=sensor["slave"])
            print(sensor["name"], *read.registers)
        client.close()


async def zigbee(url):
    from zigpy.serial import SerialProtocol, create_serial_connection

    class Protocol(SerialProtocol):
        def data_received(self, data):
            super().data_received(data)
            if len(self._buffer) == 5:
                came.set()

    came = asyncio.Event()
    # The reset of EZSP, with which a coordinator is greeted.
    reset = bytes.fromhex("1ac038bc7e")
    transport, protocol = await create_serial_connection(asyncio.get_running_loop(), Protocol, url, baudrate=115200)
    transport.write(reset)
    await asyncio.wait_for(came.wait(), 20)
    print(bytes(protocol._buffer).hex())
    await protocol.disconnect()


asyncio.run(modbus(sys.stdin.read()) if sys.argv[1] == "modbus" else zigbee(sys.argv[2]))

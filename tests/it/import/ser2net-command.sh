ssh -L 8086:localhost:8086 pi@gateway '/usr/sbin/ser2net -d -C "localhost,8086:raw:600:/dev/ttyAMA0:115200"'
exec ser2net -n -C "localhost,4000:telnet:0:/dev/ttyUSB0:460800 remctl" -c /etc/ser2net.conf

ttyd -p 8001 -W minicom -D /dev/ttyUSB1 -b 9600
ttyd -p 8002 -W -t fontSize=16 sudo screen /dev/ttyACM0 115200,cs8,-parenb
ttyd -p 8003 sh -c "exec cu -l ttyS0 -s 19200"
ttyd -p 8004 -W busybox sh
ttyd -p 8005 -W telnet 192.0.2.44 2003
ttyd -p 8006 -W microcom -s 38400 -p /dev/ttyS1 && echo done
ttyd -p 8007 -W picocom -b 9600 /dev/$(ls /dev | grep ttyUSB)

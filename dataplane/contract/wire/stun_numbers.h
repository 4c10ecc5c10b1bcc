// Numbers of STUN and TURN (RFC 8489, RFC 8656, IANA). Included by C and by BPF programs alike: constants only.
#ifndef TP_WIRE_STUN_NUMBERS_H
#define TP_WIRE_STUN_NUMBERS_H

#define STUN_MAGIC_COOKIE      0x2112A442u
#define STUN_FINGERPRINT_XOR   0x5354554Eu
#define STUN_HEADER_BYTES      20
#define STUN_ATTR_HEADER_BYTES 4

#define STUN_BINDING_REQUEST           0x0001
#define STUN_BINDING_INDICATION        0x0011
#define STUN_BINDING_SUCCESS           0x0101
#define STUN_BINDING_ERROR             0x0111
#define TURN_ALLOCATE_REQUEST          0x0003
#define TURN_REFRESH_REQUEST           0x0004
#define TURN_CREATE_PERMISSION_REQUEST 0x0008
#define TURN_CHANNEL_BIND_REQUEST      0x0009
#define TURN_CONNECT_REQUEST           0x000A // RFC 6062
#define TURN_CONNECTION_BIND_REQUEST   0x000B
#define TURN_CONNECTION_ATTEMPT        0x001C // an indication
#define TURN_SEND_INDICATION           0x0016
#define TURN_DATA_INDICATION           0x0017
#define STUN_CLASS_SUCCESS             0x0100
#define STUN_CLASS_ERROR               0x0110

#define STUN_ATTR_MAPPED_ADDRESS            0x0001
#define STUN_ATTR_CHANGE_REQUEST            0x0003
#define STUN_ATTR_USERNAME                  0x0006
#define STUN_ATTR_MESSAGE_INTEGRITY         0x0008
#define STUN_ATTR_ERROR_CODE                0x0009
#define STUN_ATTR_UNKNOWN_ATTRIBUTES        0x000A
#define TURN_ATTR_CHANNEL_NUMBER            0x000C
#define TURN_ATTR_LIFETIME                  0x000D
#define TURN_ATTR_XOR_PEER_ADDRESS          0x0012
#define TURN_ATTR_DATA                      0x0013
#define STUN_ATTR_REALM                     0x0014
#define STUN_ATTR_NONCE                     0x0015
#define TURN_ATTR_XOR_RELAYED_ADDRESS       0x0016
#define TURN_ATTR_REQUESTED_ADDRESS_FAMILY  0x0017
#define TURN_ATTR_EVEN_PORT                 0x0018
#define TURN_ATTR_REQUESTED_TRANSPORT       0x0019
#define TURN_ATTR_DONT_FRAGMENT             0x001A
#define STUN_ATTR_ACCESS_TOKEN              0x001B
#define STUN_ATTR_MESSAGE_INTEGRITY_SHA256  0x001C
#define STUN_ATTR_PASSWORD_ALGORITHM        0x001D
#define STUN_ATTR_USERHASH                  0x001E
#define STUN_ATTR_XOR_MAPPED_ADDRESS        0x0020
#define TURN_ATTR_RESERVATION_TOKEN         0x0022
#define ICE_ATTR_PRIORITY                   0x0024
#define ICE_ATTR_USE_CANDIDATE              0x0025
#define STUN_ATTR_PADDING                   0x0026
#define STUN_ATTR_RESPONSE_PORT             0x0027
#define TURN_ATTR_CONNECTION_ID             0x002A
#define TURN_ATTR_ADDITIONAL_ADDRESS_FAMILY 0x8000
#define TURN_ATTR_ADDRESS_ERROR_CODE        0x8001
#define STUN_ATTR_PASSWORD_ALGORITHMS       0x8002
#define STUN_ATTR_ALTERNATE_DOMAIN          0x8003
#define TURN_ATTR_ICMP                      0x8004
#define STUN_ATTR_SOFTWARE                  0x8022
#define STUN_ATTR_ALTERNATE_SERVER          0x8023
#define STUN_ATTR_FINGERPRINT               0x8028
#define ICE_ATTR_CONTROLLED                 0x8029
#define ICE_ATTR_CONTROLLING                0x802A
#define STUN_ATTR_RESPONSE_ORIGIN           0x802B
#define STUN_ATTR_OTHER_ADDRESS             0x802C
#define STUN_ATTR_THIRD_PARTY_AUTHORIZATION 0x802E
#define TURN_ATTR_MOBILITY_TICKET           0x8030
// Of the draft before RFC 8656, as coturn's client has it.
#define TURN_ATTR_DRAFT_ADDITIONAL_FAMILY 0x8032
#define ICE_ATTR_DTLS_IN_STUN             0xC070 // the DTLS handshake inside of checks (SPED)
#define ICE_ATTR_DTLS_IN_STUN_ACK         0xC071

#define STUN_FAMILY_IPV4 0x01
#define STUN_FAMILY_IPV6 0x02

#define TURN_CHANNEL_MIN          0x4000
#define TURN_CHANNEL_MAX          0x4FFF
#define TURN_CHANNEL_RFC5766_MAX  0x7FFF
#define TURN_CHANNEL_HEADER_BYTES 4
#define TURN_TRANSPORT_TCP        6
#define TURN_TRANSPORT_UDP        17

#endif
